//go:build js && wasm

// Command zkllmc-wasm is the verifier for JavaScript, built for js/wasm: it gives the functions that the npm package (web/npm) wraps. A call
// computes until it has its result, in the thread that called: pages call it from a worker.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"syscall/js"

	"github.com/zkllmc/zkllmc/internal/checker"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/strictjson"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

func main() {
	js.Global().Set("zkllmcVerifier", map[string]any{
		"version": console.ThisBuild().Brief(),
		"open":    call(open),
		"keep":    call(keep),
	})
	select {} // JavaScript calls from now on
}

// call makes a function for JavaScript: what it returns is {value}, or {error} with a text, also of a panic.
func call(f func(args []js.Value) (any, error)) js.Func {
	return js.FuncOf(func(_ js.Value, args []js.Value) (result any) {
		defer func() {
			if r := recover(); r != nil {
				result = map[string]any{"error": fmt.Sprintf("internal error: %v", r)}
			}
		}()
		v, err := f(args)
		if err != nil {
			return map[string]any{"error": err.Error()}
		}
		return map[string]any{"value": v}
	})
}

// keep takes an object that keeps generators, which would be derived again, by their names: get(name) returns a Uint8Array or undefined,
// set(name, bytes) takes one. A Map is such an object.
func keep(args []js.Value) (any, error) {
	if len(args) != 1 || args[0].Type() != js.TypeObject || args[0].Get("get").Type() != js.TypeFunction || args[0].Get("set").Type() != js.TypeFunction {
		return nil, fmt.Errorf("generators: want an object with get and set, a Map say")
	}
	kept := args[0]
	group.KeepBy(&group.Keeper{
		Read: func(name string, most int64) ([]byte, error) {
			v := kept.Call("get", name)
			if v.Type() != js.TypeObject || !v.InstanceOf(js.Global().Get("Uint8Array")) || int64(v.Length()) > most {
				return nil, fs.ErrNotExist
			}
			return data(v)
		},
		Write: func(name string, file []byte) {
			v := js.Global().Get("Uint8Array").New(len(file))
			js.CopyBytesToJS(v, file)
			kept.Call("set", name, v)
		},
	})
	return nil, nil
}

// open takes a bundle, a Uint8Array, and the ID that is trusted, a string, or null: then the range proof of the weights is verified.
func open(args []js.Value) (any, error) {
	if len(args) != 2 {
		return nil, fmt.Errorf("open takes a bundle and an ID or null")
	}
	archive, err := data(args[0])
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	var id *[32]byte
	switch args[1].Type() {
	case js.TypeNull:
	default:
		return nil, fmt.Errorf("the ID is no string")
	case js.TypeString:
		trusted, err := verifier.ParseModelID(args[1].String())
		if err != nil {
			return nil, err
		}
		id = &trusted
	}
	m, err := checker.Open(context.Background(), archive, id)
	if err != nil {
		return nil, err
	}
	card, err := json.Marshal(m.Card)
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": m.ID(), "card": string(card), "verify": call(func(args []js.Value) (any, error) { return verify(m, args) })}, nil
}

// verify takes a statement and a proof, Uint8Arrays, and a checker.Question as JSON. It returns a checker.Report as JSON.
func verify(m *checker.Model, args []js.Value) (any, error) {
	if len(args) != 3 {
		return nil, fmt.Errorf("verify takes a statement, a proof and a question")
	}
	statement, err := data(args[0])
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	proof, err := data(args[1])
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	var q checker.Question
	asked := []byte(args[2].String())
	if err := errors.Join(strictjson.Unmarshal(asked, &q), strictjson.NoNull(asked)); err != nil {
		return nil, fmt.Errorf("question: %w", err)
	}
	r, err := m.Verify(context.Background(), statement, proof, q)
	if err != nil {
		return nil, err
	}
	report, err := json.Marshal(r)
	return string(report), err
}

// data copies a Uint8Array.
func data(v js.Value) ([]byte, error) {
	if !v.InstanceOf(js.Global().Get("Uint8Array")) {
		return nil, fmt.Errorf("want a Uint8Array")
	}
	out := make([]byte, v.Length())
	js.CopyBytesToGo(out, v)
	return out, nil
}
