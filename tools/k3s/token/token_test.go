package token

import (
	"strings"
	"testing"
)

var authority = []byte("-----BEGIN CERTIFICATE-----\n")

func TestParseTakesEveryForm(t *testing.T) {
	hash := Hash(authority)
	for written, expected := range map[string]Token{
		"secret\n":                                 {Secret: "secret"},
		"abcdef.0123456789abcdef":                  {Secret: "abcdef.0123456789abcdef", Bootstrap: true},
		Format(authority, "server:a:b"):            {Hash: hash, User: "server", Secret: "a:b"},
		"K10" + hash + "::abcdef.0123456789abcdef": {Hash: hash, Secret: "abcdef.0123456789abcdef", Bootstrap: true},
	} {
		if found, err := Parse(written); err != nil || found != expected {
			t.Errorf("%q: %v, %v", written, found, err)
		}
	}
}

func TestParseRefusesWhatIsNoToken(t *testing.T) {
	for _, written := range []string{"", " ", "K10", "K10abc::server:x", "K10" + Hash(authority) + "::server", "K10" + Hash(authority) + "::server:"} {
		if found, err := Parse(written); err == nil {
			t.Errorf("%q was taken as %v", written, found)
		}
	}
}

func TestCheckComparesTheAuthority(t *testing.T) {
	secure, _ := Parse(Format(authority, "server:x"))
	if err := secure.Check(authority); err != nil {
		t.Error(err)
	}
	if err := secure.Check([]byte("another")); err == nil || !strings.Contains(err.Error(), "does not match") {
		t.Errorf("another CA: %v", err)
	}
	if err := (Token{Secret: "x"}).Check([]byte("any")); err != nil {
		t.Error(err)
	}
}
