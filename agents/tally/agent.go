// A household's accounts, kept by writing to them. Ordinary Go, with its own runtime and garbage collector: maps,
// slices and strings live on as they are, wherever the agent goes.
package main

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

//go:wasmimport igor inbox_next
func inboxNext(text unsafe.Pointer, capacity int32) int32

//go:wasmimport igor view_show
func viewShow(kind int32, bytes unsafe.Pointer, length, width, height int32) int32

const (
	// As long as a message can be: one that does not fit stays, and those behind it wait for ever.
	maxText    = 65536
	maxEntries = 10000
	maxWord    = 40
	maxCents   = 1_000_000_000_00
	shown      = 6
)

type entry struct {
	at    time.Time
	cents int64
	word  string
}

var (
	entries []entry
	text    [maxText]byte
)

func say(line string) {
	os.Stdout.WriteString(line + "\n")
}

func money(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	units, rest := strconv.FormatInt(cents/100, 10), strconv.FormatInt(cents%100+100, 10)
	return sign + units + "." + rest[1:]
}

// parseMoney reads 12, 12.5, -12.50 or 12,50. Integers all the way: money is never a float.
func parseMoney(word string) (int64, bool) {
	digits, negative := strings.CutPrefix(strings.Replace(word, ",", ".", 1), "-")
	units, rest, _ := strings.Cut(digits, ".")
	if len(rest) > 2 || strings.ContainsAny(units+rest, "+-_") {
		return 0, false
	}
	cents, err := strconv.ParseInt(units+(rest + "00")[:2], 10, 64)
	if err != nil || units == "" || cents > maxCents {
		return 0, false
	}
	if negative {
		cents = -cents
	}
	return cents, true
}

func add(cents int64, word string, now time.Time) string {
	if len(entries) >= maxEntries {
		return "the book is full: write “clear” to begin a new one"
	}
	if len(word) > maxWord {
		word = strings.ToValidUTF8(word[:maxWord], "")
	}
	entries = append(entries, entry{now, cents, word})
	return "#" + strconv.Itoa(len(entries)) + " " + money(cents) + " " + word
}

func undo() string {
	if len(entries) == 0 {
		return "there is nothing to undo"
	}
	last := entries[len(entries)-1]
	entries = entries[:len(entries)-1]
	return "gone: " + money(last.cents) + " " + last.word
}

type sum struct {
	word  string
	cents int64
}

// sums adds up by what `name` calls an entry, largest first.
func sums(name func(entry) string) []sum {
	byName := map[string]int64{}
	for _, one := range entries {
		byName[name(one)] += one.cents
	}
	// A map's order is random in Go, from the tick's randomness here: never show it.
	list := make([]sum, 0, len(byName))
	for word, cents := range byName {
		list = append(list, sum{word, cents})
	}
	slices.SortFunc(list, func(one, other sum) int {
		return cmp.Or(cmp.Compare(other.cents, one.cents), cmp.Compare(one.word, other.word))
	})
	return list
}

func total() (cents int64) {
	for _, one := range entries {
		cents += one.cents
	}
	return cents
}

func byWord(one entry) string  { return one.word }
func byMonth(one entry) string { return one.at.Format("2006-01") }

func report(name func(entry) string) {
	for _, one := range sums(name) {
		say(one.word + ": " + money(one.cents))
	}
	say("in all: " + money(total()))
}

func listen(line string, now time.Time) {
	amount, word, _ := strings.Cut(strings.TrimSpace(line), " ")
	word = strings.TrimSpace(word)
	cents, isMoney := parseMoney(amount)
	switch {
	case isMoney && word != "":
		say(add(cents, word, now))
	case line == "undo":
		say(undo())
	case line == "clear":
		entries = nil
		say("an empty book")
	case line == "words":
		report(byWord)
	case line == "months":
		report(byMonth)
	case !strings.HasPrefix(line, "key:"):
		say("write an amount and a word, such as “12.50 coffee”; or words, months, undo, clear")
	}
}

func picture() string {
	lines := []string{"in all: " + money(total()), ""}
	for i, one := range sums(byWord) {
		if i == shown {
			break
		}
		lines = append(lines, money(one.cents)+"  "+one.word)
	}
	if len(entries) == 0 {
		lines = append(lines, "Write “12.50 coffee”.")
	} else {
		last := entries[len(entries)-1]
		lines = append(lines, "", "last: "+last.at.Format("Jan 2 15:04")+"  "+money(last.cents)+" "+last.word)
	}
	return strings.Join(lines, "\n")
}

//go:wasmexport agent_init
func agentInit() {
	say("the book is open. Write “12.50 coffee”")
}

//go:wasmexport agent_tick
func agentTick() int32 {
	now := time.Now().UTC()
	for {
		length := inboxNext(unsafe.Pointer(&text), maxText)
		if length <= 0 {
			break
		}
		listen(string(text[:length]), now)
	}
	view := []byte(picture())
	viewShow(0, unsafe.Pointer(&view[0]), int32(len(view)), 0, 0)
	return 0
}

// Never called: a reactor stays after its start.
func main() {}
