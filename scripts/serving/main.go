// Command serving runs a server of zkllmc and shows what it does.
//
//	serving demo    asks one chat question and checks the proof of the answer, as a customer does
//	serving openai  lets OpenAI's client for Python ask, also in a conversation of several turns, whose proof is checked
//	serving cluster keeps jobs in three NATS servers, of which one ends in the middle of proofs
//	serving load    lets many clients ask at a time, and then kills server and workers in the middle of jobs
//
// It is given the folder that scripts/serve.sh has made: programs, a compiled model, its keys and bundle.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// token is that of the one who may ask.
const token = "demo-0123456789-0123456789"

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "", "folder that scripts/serve.sh has made")
	python := flag.String("python", "python3", "Python that has openai")
	clients := flag.Int("clients", 200, "at a time")
	length := flag.Duration("time", time.Minute, "of the load")
	kills := flag.Int("kills", 10, "of server and of workers each")
	flag.Parse()
	var err error
	switch flag.Arg(0) {
	case "demo":
		err = demo(*dir)
	case "openai":
		err = withServer(*dir, tokens(*dir), func(s *server) error {
			c := exec.Command(*python, "scripts/serving/client.py", s.url+"/v1", token, *dir)
			c.Stdout, c.Stderr = os.Stdout, os.Stderr
			if err := c.Run(); err != nil {
				return err
			}
			return conversed(*dir, s)
		})
	case "cluster":
		err = cluster(*dir)
	case "load":
		if err = load(*dir, *clients, *length); err == nil {
			err = killing(*dir, *kills)
		}
	default:
		err = errors.New("serving: want demo, openai, cluster or load")
	}
	if err != nil {
		log.Fatal(err)
	}
}

// server is a running one.
type server struct {
	c   *exec.Cmd
	url string

	mu  sync.Mutex
	log bytes.Buffer
}

func (s *server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

// find returns the first groups of all matches in the log.
func (s *server) find(expression string) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(s.log.String(), -1) {
		out = append(out, m[1])
	}
	return out
}

// tokens are the flags of a server that wants one.
func tokens(dir string) []string { return []string{"--tokens", filepath.Join(dir, "tokens")} }

// start starts a server and waits until it answers.
func start(dir string, more []string) (*server, error) {
	s := &server{}
	args := append([]string{"serve", "--model", "sums=" + filepath.Join(dir, "sums"), "--listen", "127.0.0.1:0", "--patience", "5s"}, more...)
	if !slices.Contains(more, "--nats") {
		args = append(args, "--data", filepath.Join(dir, "state"))
	}
	if chat := filepath.Join(dir, "chat"); exists(chat) {
		args = append(args, "--model", "chat="+chat)
	}
	s.c = exec.Command(filepath.Join(dir, "bin", "zkllmc"), args...)
	s.c.Stderr = s
	if err := s.c.Start(); err != nil {
		return nil, err
	}
	for range 600 {
		if at := s.find(`url=(\S+)`); len(at) > 0 && len(s.find(`pid=(\d+)`)) > 0 {
			s.url = at[0]
			return s, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	_ = s.c.Process.Kill()
	return nil, fmt.Errorf("the server does not start:\n%s", &s.log)
}

// end lets a server end by itself.
func (s *server) end() error {
	if err := s.c.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return s.c.Wait()
}

func withServer(dir string, more []string, f func(*server) error) error {
	s, err := start(dir, more)
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.end())
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}, Timeout: time.Minute}

// ask sends a request and returns status and body.
func (s *server) ask(method, path, body string) (int, http.Header, []byte, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	response, err := client.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, data, err
}

// report is what is looked at of a proof's.
type report struct {
	Status, Reason, Phase string
	Percent               float64
	Left                  float64 `json:"seconds_left"`
}

// wait waits for the end of a proof.
func (s *server) wait(id string, tell bool) (r report, err error) {
	for last := ""; ; {
		status, _, data, err := s.ask("GET", "/v1/proofs/"+id, "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%s: %d %s", id, status, data)
		}
		if err == nil {
			r = report{}
			err = json.Unmarshal(data, &r)
		}
		if err != nil || r.Status != "queued" && r.Status != "proving" {
			return r, err
		}
		if now := fmt.Sprintf("  %s, %.0f %%", r.Status, r.Percent); tell && now != last {
			fmt.Println(now)
			last = now
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// conversed checks the proof that the client has asked for in a conversation: the whole of it is compared, and a changed one refused.
func conversed(dir string, s *server) error {
	id, err := os.ReadFile(filepath.Join(dir, "chat.proof"))
	if err != nil {
		return err
	}
	r, err := s.wait(string(id), false)
	if err != nil || r.Status != "done" {
		return fmt.Errorf("the proof is %s: %s %w", r.Status, r.Reason, err)
	}
	said, err := s.verifyOf(dir, "chat", string(id), "--messages", filepath.Join(dir, "messages.json"))
	if err != nil {
		return err
	}
	fmt.Print(said)
	if _, err := s.verifyOf(dir, "chat", string(id), "--messages", filepath.Join(dir, "changed.json")); err == nil {
		return errors.New("a changed history was accepted")
	}
	fmt.Println("a changed history is refused, as it must be")
	return nil
}

// verify gets statement and proof of the model sums and lets a customer's verifier check them.
func (s *server) verify(dir, id string, more ...string) (string, error) {
	return s.verifyOf(dir, "sums", id, more...)
}

func (s *server) verifyOf(dir, model, id string, more ...string) (string, error) {
	args := []string{"--bundle", filepath.Join(dir, model+".bundle"), "verify", "--pin", filepath.Join(dir, model+".id")}
	for _, name := range []string{"statement", "proof"} {
		status, _, data, err := s.ask("GET", "/v1/proofs/"+id+"/"+name, "")
		if err != nil || status != http.StatusOK {
			return "", fmt.Errorf("%s of %s: %d %w", name, id, status, err)
		}
		file := filepath.Join(dir, name+".bin")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			return "", err
		}
		args = append(args, "--"+name, file)
	}
	out, err := exec.Command(filepath.Join(dir, "bin", "zkllmc-verifier"), append(args, more...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return string(out), nil
}

// demo asks a server that needs no token, as it listens for this machine alone, so that a browser may get what the page's link names.
func demo(dir string) error {
	var flags []string
	page := filepath.Join(dir, "page")
	if _, err := os.Stat(filepath.Join(page, "index.html")); err == nil {
		flags = []string{"--page", page}
	}
	return withServer(dir, flags, func(s *server) error {
		const question = "327+458="
		body := `{"model": "sums", "messages": [{"role": "user", "content": "` + question + `"}]}`
		fmt.Printf("\n== POST %s/v1/chat/completions\n%s\n", s.url, body)
		status, header, data, err := s.ask("POST", "/v1/chat/completions", body)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %s %w", status, data, err)
		}
		fmt.Printf("%s", data)
		var a struct {
			Choices []struct{ Message struct{ Content string } }
		}
		if err := json.Unmarshal(data, &a); err != nil {
			return err
		}
		id := header.Get("Proof-Id")
		fmt.Printf("\n== GET %s/v1/proofs/%s\n", s.url, id)
		r, err := s.wait(id, true)
		if err != nil || r.Status != "done" {
			return fmt.Errorf("the proof is %s: %s %w", r.Status, r.Reason, err)
		}
		fmt.Println("  done")
		answer := a.Choices[0].Message.Content
		fmt.Printf("\n== zkllmc-verifier verify --prompt '%s' --answer '%s'\n", question, answer)
		out, err := s.verify(dir, id, "--prompt", question, "--answer", answer)
		if err != nil {
			return err
		}
		fmt.Print(out)
		fmt.Println("\n== the same proof for another answer")
		if _, err := s.verify(dir, id, "--prompt", question, "--answer", answer+"0"); err == nil {
			return errors.New("a forged answer was accepted")
		}
		fmt.Println("refused, as it must be")
		if flags == nil {
			return nil
		}
		return show(s, id, question, answer)
	})
}

// show sees that the page is there and tells its link. On a terminal the server goes on until somebody has looked.
func show(s *server, id, question, answer string) error {
	for _, file := range []string{"", "page.mjs", "zkllmc/zkllmc.wasm.xz", "sums.bundle"} {
		if status, _, _, err := s.ask("GET", "/page/"+file, ""); err != nil || status != http.StatusOK {
			return fmt.Errorf("the page's %q: %d %w", file, status, err)
		}
	}
	link := url.Values{"bundle": {"/page/sums.bundle"}, "statement": {"/v1/proofs/" + id + "/statement"}, "proof": {"/v1/proofs/" + id + "/proof"}, "prompt": {question}, "answer": {answer}}
	fmt.Printf("\n== the same in a browser: a page that the server serves\n%s/page/#%s\n", s.url, link.Encode())
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Print("Enter ends the server. ")
		_, _ = os.Stdin.Read(make([]byte, 1)) // the end of the input ends it, too
	}
	return nil
}

// memory is that of a process now, in MiB; 0 where nobody says.
func memory(pid int) int {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, line := range strings.Split(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n >> 10
		}
	}
	return 0
}

// tally counts what clients got.
type tally struct {
	mu       sync.Mutex
	statuses map[int]int
	errors   []string
	ids      []string
	slowest  time.Duration
}

func (t *tally) one(s *server, i int) {
	begin := time.Now()
	status, header, data, err := s.ask("POST", "/v1/completions", fmt.Sprintf(`{"model": "sums", "prompt": "%d+%d="}`, i%1000, i/7%1000))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slowest = max(t.slowest, time.Since(begin))
	switch {
	case err != nil:
		t.errors = append(t.errors, err.Error())
		return
	case status == http.StatusOK:
		t.ids = append(t.ids, header.Get("Proof-Id"))
	case status != http.StatusTooManyRequests:
		t.errors = append(t.errors, fmt.Sprintf("%d %s", status, data))
	}
	t.statuses[status]++
}

// load lets clients ask for a while, each again as soon as it has its answer, and waits for all proofs.
func load(dir string, clients int, length time.Duration) error {
	return withServer(dir, tokens(dir), func(s *server) error {
		t := &tally{statuses: map[int]int{}}
		var all sync.WaitGroup
		end := time.Now().Add(length)
		for n := range clients {
			all.Go(func() {
				for i := n; time.Now().Before(end); i += clients {
					t.one(s, i)
				}
			})
		}
		var rss []int
		for time.Now().Before(end) {
			time.Sleep(length / 12)
			rss = append(rss, memory(s.c.Process.Pid))
		}
		all.Wait()
		fmt.Printf("%d clients, %v: answers by status %v, slowest %v, %d other errors\nmemory of the server, MiB: %v\n",
			clients, length, t.statuses, t.slowest.Round(time.Millisecond), len(t.errors), rss)
		if len(t.errors) > 0 {
			return fmt.Errorf("such as %s", t.errors[0])
		}
		begin := time.Now()
		if err := settle(dir, s, t.ids, 10); err != nil {
			return err
		}
		fmt.Printf("%d answers were promised a proof and have one, of which every tenth was verified and accepted, the last %v after the load; memory of the server then: %d MiB\n",
			len(t.ids), time.Since(begin).Round(time.Second), memory(s.c.Process.Pid))
		return nil
	})
}

// settle waits for proofs, and verifies one of so many.
func settle(dir string, s *server, ids []string, every int) error {
	for i, id := range ids {
		r, err := s.wait(id, false)
		if err == nil && r.Status != "done" {
			err = fmt.Errorf("%s is %s: %s", id, r.Status, r.Reason)
		}
		if err == nil && i%every == 0 {
			_, err = s.verify(dir, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// killing kills workers, then servers, each in the middle of a job, and sees that every job that was promised is made.
func killing(dir string, kills int) error {
	s, err := start(dir, tokens(dir))
	if err != nil {
		return err
	}
	t := &tally{statuses: map[int]int{}}
	promise := func() {
		for i := range 3 {
			t.one(s, len(t.ids)+i)
		}
	}
	for range kills {
		begun := len(s.find(`msg=(proving)`))
		promise()
		for len(s.find(`msg=(proving)`)) == begun {
			time.Sleep(time.Millisecond)
		}
		pids := s.find(`pid=(\d+)`)
		if err := killPID(pids[len(pids)-1]); err != nil {
			return err
		}
		for len(s.find(`pid=(\d+)`)) == len(pids) { // the server starts another
			time.Sleep(10 * time.Millisecond)
		}
	}
	for range kills {
		begun := len(s.find(`msg=(proving)`))
		promise()
		for len(s.find(`msg=(proving)`)) == begun {
			time.Sleep(time.Millisecond)
		}
		if err := s.c.Process.Kill(); err != nil {
			return err
		}
		_ = s.c.Wait()
		if s, err = start(dir, tokens(dir)); err != nil {
			return err
		}
	}
	if len(t.errors) > 0 {
		return errors.Join(fmt.Errorf("%d errors, such as %s", len(t.errors), t.errors[0]), s.end())
	}
	err = settle(dir, s, t.ids, 1)
	if err == nil {
		fmt.Printf("%d kills of workers and %d of servers, each while a proof was made: all of %d proofs that were promised are there, and accepted\n", kills, kills, len(t.ids))
	}
	return errors.Join(err, s.end())
}

func killPID(pid string) error {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return err
	}
	p, err := os.FindProcess(n)
	if err != nil {
		return err
	}
	return p.Kill()
}
