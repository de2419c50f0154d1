// Mutate tests the tests of the verifier. It takes the verifier's sources, removes or weakens one check at a time, and runs the tests
// that demand a rejection: one of them must fail. A mutant that survives is a check that no test needs, or a hole.
//
//	go run ./scripts/mutate [-only REGEXP] [-list] [-j N] [-kept] [-short]
//
// All mutants are compiled at once (mutant schemata): every site is rewritten so that a number in the environment chooses the one that
// departs from the sources, and every test binary is built once. The kinds of mutants are described in sites.go, what is left out
// and why in plan.go. The rewritten code is that of prover and verifier alike, as they share it: a mutant is a protocol without
// the check, in which a prover who uses that is consistent.
//
// A mutant is first tried on honest proofs. If they fail it is dead, but not through a test that demands a rejection, and is counted
// apart. Then comes the test that killed it in an earlier run, then the attacks, then the tests of the other packages. Tests that compare bytes, schedules or values with stored or
// recomputed ones are not used: they notice every change, a lie that is accepted or not.
//
// Every test is first run without a mutant, which says how long it takes and what it reaches. That is kept in build/mutants/probes.json for
// each package of tests by itself: another test there is the one reason to run them again while the sources stay.
//
// Results are appended to build/mutants/results.jsonl as they come, under a digest of site and sources, so that a run that was
// interrupted goes on. survivors.txt holds the argument for every mutant that may survive. The exit code is 1 if a mutant survives
// without one, or if one that is argued for is killed or is gone.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"syscall"
)

// options are the command line's.
type options struct {
	only    *regexp.Regexp
	list    bool
	workers int
	kept    bool
	short   bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, parse())
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func parse() options {
	var o options
	only := flag.String("only", "", "take only the mutants whose name matches `REGEXP`, or whose numbers are listed with commas")
	flag.BoolVar(&o.list, "list", false, "list the mutants and what is known of them, run nothing")
	flag.IntVar(&o.workers, "j", 3, "try `N` mutants at a time, each on one processor")
	flag.BoolVar(&o.kept, "kept", false, "believe kills by tests that have changed since, which is for work on survivors")
	flag.BoolVar(&o.short, "short", false, "leave tests of more than some seconds out; what survives is shown, not recorded")
	flag.Parse()
	o.only = regexp.MustCompile(*only)
	return o
}

// run does everything; ok says whether no mutant survives without an argument.
func run(ctx context.Context, o options) (ok bool, err error) {
	tree, err := load(".")
	if err != nil {
		return false, err
	}
	chosen := tree.choose(o.only)
	book, err := openBook("build/mutants/results.jsonl", tree, o.kept)
	if err != nil {
		return false, err
	}
	defer book.close()
	arguments, err := readArguments("scripts/mutate/survivors.txt")
	if err != nil {
		return false, err
	}
	if o.list {
		list(os.Stdout, chosen, book)
		return true, nil
	}
	var todo []*site
	for _, s := range chosen {
		if _, known := book.results[s.key(tree)]; !known {
			todo = append(todo, s)
		}
	}
	fmt.Fprintf(os.Stderr, "%d mutants, %d of them to try\n", len(chosen), len(todo))
	if len(todo) > 0 {
		if err := try(ctx, tree, todo, book, o); err != nil {
			return false, err
		}
	}
	return report(os.Stdout, tree, chosen, book, arguments, len(chosen) == len(tree.sites)), nil
}

// try builds the binaries and runs mutants on them.
func try(ctx context.Context, tree *tree, todo []*site, book *book, o options) error {
	lab, err := build(ctx, tree, todo, o.workers, o.short)
	if err != nil {
		return err
	}
	defer lab.close()
	return lab.tryAll(ctx, todo, book.killers, func(s *site, r result) error {
		fmt.Fprintf(os.Stderr, "%5.1fs  %-8s  %s  %s\n", r.Seconds, r.Verdict, s, r.By)
		if o.short && r.Verdict == survives {
			return nil
		}
		return book.add(s.key(tree), r)
	})
}

// list prints the mutants.
func list(w *os.File, sites []*site, book *book) {
	for _, s := range sites {
		line := strconv.Itoa(s.id) + "\t" + s.String()
		if r, ok := book.results[s.key(book.tree)]; ok {
			line += "\t" + string(r.Verdict) + " " + r.By
		}
		fmt.Fprintf(w, "%s\t%s:%d\n", line, s.file, s.line)
	}
}
