// Package nearest finds what was most likely meant by a word that was mistyped: a
// command, an option, a cron's name, a key of a configuration. It is the one place
// that decides what is near enough to be asked after. It is pure, and nothing acts
// on what it finds: a guess is something to say, never something to do.
package nearest

import (
	"slices"
	"strings"
)

const (
	// most is how many words are worth naming.
	most = 3
	// beginning is how many letters of a word must be there for the rest to be
	// guessed, and far the distance from which on two words have nothing to do with
	// each other.
	beginning, far = 3, 3
)

// Words returns those of the known words that may have been meant by one that is
// not among them, the nearest ones alone, in their order: those that are one mistake
// away, else those that the word begins, else those that are two mistakes away.
// None, if nothing is near.
func Words(word string, known []string) []string {
	var found []string
	least := far
	for _, k := range known {
		// The cost is quadratic, and a difference in length is a distance already.
		if len(word) >= len(k)+far || len(k) >= len(word)+far {
			continue
		}
		switch d := distance(word, k); {
		case d*2 >= len(k) || d > least || d == far:
		case d < least:
			found, least = []string{k}, d
		case !slices.Contains(found, k):
			found = append(found, k)
		}
	}
	if least > 1 && len(word) >= beginning {
		var begun []string
		for _, k := range known {
			if len(k) > len(word) && distance(word, k[:len(word)]) == 0 && !slices.Contains(begun, k) {
				begun = append(begun, k)
			}
		}
		if len(begun) > 0 && len(begun) <= most { // else it may be anything
			found = begun
		}
	}
	return found[:min(len(found), most)]
}

// Hint asks whether one of the known words was meant, and says the rest, which may
// be empty, behind it. It is the rest alone if nothing is near.
func Hint(word string, known []string, rest string) string { return Ask(Words(word, known), rest) }

// Ask is Hint with the words that were found.
func Ask(found []string, rest string) string {
	if len(found) == 0 {
		return rest
	}
	text := "did you mean: " + strings.Join(found, ", ")
	if rest != "" {
		text += "; " + rest
	}
	return text
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to make b of a, without regard to capitals, and to - and _.
func distance(a, b string) int {
	before, previous, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	same := func(x, y byte) bool { return fold(x) == fold(y) }
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if same(a[i-1], b[j-1]) {
				cost = 0
			}
			row[j] = min(previous[j]+1, row[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && same(a[i-1], b[j-2]) && same(a[i-2], b[j-1]) {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, previous, row = previous, row, make([]int, len(b)+1)
	}
	return previous[len(b)]
}

func fold(c byte) byte {
	switch {
	case c == '-' || c == ' ':
		return '_'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}
