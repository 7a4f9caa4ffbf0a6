package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/http"
	"strings"
)

// The limits of an activity's log. Whatever exceeds them is only not shown.
const (
	// maxLogLine bounds one line, in bytes.
	maxLogLine = 1000
	// maxLogItems is how many items of one log are read.
	maxLogItems = 100_000
	// maxUnreadable is how often in a row a log may be answered with something
	// else before it is left alone. At first there may be none: it takes minutes
	// of waiting until so many have come.
	maxUnreadable = 20
)

// activityLog is what has been read of the log of one activity.
type activityLog struct {
	seed       maphash.Seed
	known      map[uint64]struct{} // the items that have been read, hashed
	rest       string              // the beginning of a line that has not ended yet
	unreadable int                 // answers in a row that were no log
	over       bool                // sealed, or no use asking for it
}

// readLog asks for what is new in the log and returns its whole lines. It asks
// once at most, and not at all after the seal.
func (f *following) readLog(ctx context.Context) []string {
	if f.log.over {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, logLimit)
	defer cancel()
	auth, e := f.client.authorize(ctx, "")
	if e != nil {
		return nil
	}
	// The n-th item is asked for that we have not got. Should the server count in
	// another way, what it repeats is known by its id. It need not wait for more.
	address := fmt.Sprintf("%s/log?start_at=%d&max_items=0&max_delay=0", f.url, len(f.log.known))
	r := call{op: f.op, method: http.MethodGet, url: address, auth: auth, limit: maxAnswer}
	a, e := f.client.send(ctx, r)
	if e != nil {
		return nil
	}
	if a.status < 200 || a.status > 299 {
		f.log.missed()
		return nil
	}
	// Even if the answer was left in the middle: half a line is no JSON.
	return f.log.add(a.body, func(text string) string { return f.client.redact(r, text) })
}

// missed counts an answer that was no log.
func (l *activityLog) missed() {
	l.unreadable++
	l.over = l.unreadable >= maxUnreadable
}

// add reads one JSON object on each line: items, and at last a seal. Redact takes
// secrets out of text.
func (l *activityLog) add(body []byte, redact func(string) string) (lines []string) {
	if l.known == nil {
		l.known, l.seed = map[uint64]struct{}{}, maphash.MakeSeed()
	}
	understood := len(bytes.TrimSpace(body)) == 0
	for text := range bytes.Lines(body) {
		var item struct {
			ID   json.RawMessage `json:"_id"`
			Data *struct {
				Message string `json:"message"`
			} `json:"data"`
			Seal bool `json:"seal"`
		}
		if json.Unmarshal(text, &item) != nil || item.Data == nil && !item.Seal {
			continue
		}
		understood = true
		if item.Data != nil {
			key := []byte(item.ID)
			if len(key) == 0 {
				key = text
			}
			hash := maphash.Bytes(l.seed, key)
			if _, known := l.known[hash]; !known {
				l.known[hash] = struct{}{}
				// Redacted before it is cut, or half a secret could be left at the end.
				l.rest = redact(l.rest + item.Data.Message)
				lines = append(lines, l.whole()...)
			}
		}
		if item.Seal || len(l.known) >= maxLogItems {
			l.over = true
			break
		}
	}
	if !understood {
		l.missed()
		return nil
	}
	l.unreadable = 0
	if l.over {
		lines = append(lines, l.last()...)
	}
	return lines
}

// last returns the line that the end of the log has left without an end.
func (l *activityLog) last() (lines []string) {
	if l.rest != "" {
		lines, l.rest = []string{cutLine(l.rest)}, ""
	}
	return lines
}

// whole takes the lines that have ended: a message may be a part of a line, or
// many.
func (l *activityLog) whole() (lines []string) {
	for {
		line, rest, found := strings.Cut(l.rest, "\n")
		if !found {
			break
		}
		lines, l.rest = append(lines, cutLine(line)), rest
	}
	l.rest = l.rest[:min(len(l.rest), maxLogLine+1)]
	return lines
}

func cutLine(line string) string {
	if len(line) > maxLogLine {
		return strings.ToValidUTF8(line[:maxLogLine], "") + "..."
	}
	return line
}
