package api

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
)

// Access says who may ask. The nil one lets everybody, as the same one.
type Access struct{ users []user }

// user has a name, which is in logs and records, and the digest of his token: the token is not kept.
type user struct {
	name   string
	digest [sha256.Size]byte
}

// everybody is the owner of proofs where there are no tokens.
const everybody = "everybody"

// leastToken is how many characters a token has at the least: nobody guesses 20 random ones.
const leastToken = 20

// ParseAccess reads a file of tokens: a name and a token on each line, with a space between. Empty lines, and those that begin with #, say nothing.
func ParseAccess(file []byte) (*Access, error) {
	a := &Access{}
	lines := bufio.NewScanner(bytes.NewReader(file))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d: want NAME TOKEN", n) // and not what stands there
		}
		if len(fields[1]) < leastToken {
			return nil, fmt.Errorf("line %d: the token of %s has %d characters, want %d at least", n, fields[0], len(fields[1]), leastToken)
		}
		a.users = append(a.users, user{fields[0], sha256.Sum256([]byte(fields[1]))})
	}
	if lines.Err() != nil {
		return nil, lines.Err()
	}
	if len(a.users) == 0 {
		return nil, fmt.Errorf("there is no token in it")
	}
	return a, nil
}

// of returns the name of whoever sent a request. Every token is compared, each in a time that does not depend on what was sent.
func (a *Access) of(r *http.Request) (name string, ok bool) {
	if a == nil {
		return everybody, true
	}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	digest := sha256.Sum256([]byte(token))
	for _, u := range a.users {
		if subtle.ConstantTimeCompare(digest[:], u.digest[:]) == 1 {
			name, ok = u.name, true
		}
	}
	return name, ok && bearer
}
