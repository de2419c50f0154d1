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
	name     string
	digest   [sha256.Size]byte
	operator bool // reads the metrics, too
}

// everybody is the owner of proofs where there are no tokens.
const everybody = "everybody"

// leastToken is how many characters a token has at the least: nobody guesses 20 random ones.
const leastToken = 20

// ParseAccess reads a file of tokens: a name and a token on each line, and the word operator where it is that of whoever runs the server, with spaces
// between. A name may have several tokens, a token one name. Empty lines, and those that begin with #, say nothing.
func ParseAccess(file []byte) (*Access, error) {
	a := &Access{}
	lines := bufio.NewScanner(bytes.NewReader(file))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 && (len(fields) != 3 || fields[2] != "operator") {
			return nil, fmt.Errorf("line %d: want NAME TOKEN, or NAME TOKEN operator", n) // and not what stands there
		}
		if fields[0] == everybody {
			return nil, fmt.Errorf("line %d: nobody may be called %s, to whom proofs belong where there are no tokens", n, everybody)
		}
		if len(fields[1]) < leastToken {
			return nil, fmt.Errorf("line %d: the token of %s has %d characters, want %d at least", n, fields[0], len(fields[1]), leastToken)
		}
		u := user{fields[0], sha256.Sum256([]byte(fields[1])), len(fields) == 3}
		for _, other := range a.users {
			if other.digest == u.digest {
				return nil, fmt.Errorf("line %d: %s and %s have the same token", n, other.name, u.name)
			}
		}
		a.users = append(a.users, u)
	}
	if lines.Err() != nil {
		return nil, lines.Err()
	}
	if len(a.users) == 0 {
		return nil, fmt.Errorf("there is no token in it")
	}
	return a, nil
}

// of returns whoever sent a request. Every token is compared, each in a time that does not depend on what was sent.
func (a *Access) of(r *http.Request) (who user, ok bool) {
	if a == nil {
		return user{name: everybody}, true
	}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	digest := sha256.Sum256([]byte(token))
	for _, u := range a.users {
		if subtle.ConstantTimeCompare(digest[:], u.digest[:]) == 1 {
			who, ok = u, true
		}
	}
	return who, ok && bearer
}
