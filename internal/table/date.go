package table

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Date formats a time as PHP's date() does; a letter that it does not know stands
// for itself.
func Date(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] == '\\' && i+1 < len(format) {
			i++
			b.WriteByte(format[i])
			continue
		}
		b.WriteString(letter(t, format[i]))
	}
	return b.String()
}

// layouts are the letters that Go has a layout for.
var layouts = map[byte]string{
	'd': "02", 'D': "Mon", 'j': "2", 'l': "Monday", 'F': "January", 'm': "01", 'M': "Jan", 'n': "1",
	'Y': "2006", 'y': "06", 'a': "pm", 'A': "PM", 'g': "3", 'h': "03", 'H': "15", 'i': "04", 's': "05",
	'e': "MST", 'T': "MST", 'O': "-0700", 'P': "-07:00", 'p': "Z07:00",
	'c': "2006-01-02T15:04:05-07:00", 'r': "Mon, 02 Jan 2006 15:04:05 -0700",
}

func letter(t time.Time, format byte) string {
	if layout, ok := layouts[format]; ok {
		return t.Format(layout)
	}
	year, week := t.ISOWeek()
	switch format {
	case 'N':
		return strconv.Itoa((int(t.Weekday())+6)%7 + 1)
	case 'w':
		return strconv.Itoa(int(t.Weekday()))
	case 'z':
		return strconv.Itoa(t.YearDay() - 1)
	case 'S':
		if day := t.Day(); day/10 != 1 {
			switch day % 10 {
			case 1:
				return "st"
			case 2:
				return "nd"
			case 3:
				return "rd"
			}
		}
		return "th"
	case 'W':
		return fmt.Sprintf("%02d", week)
	case 'o':
		return strconv.Itoa(year)
	case 't':
		return strconv.Itoa(time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day())
	case 'L':
		if time.Date(t.Year(), time.December, 31, 0, 0, 0, 0, time.UTC).YearDay() == 366 {
			return "1"
		}
		return "0"
	case 'G':
		return strconv.Itoa(t.Hour())
	case 'v':
		return fmt.Sprintf("%03d", t.Nanosecond()/1e6)
	case 'u':
		return fmt.Sprintf("%06d", t.Nanosecond()/1e3)
	case 'Z':
		_, offset := t.Zone()
		return strconv.Itoa(offset)
	case 'I':
		if t.IsDST() {
			return "1"
		}
		return "0"
	case 'U':
		return strconv.FormatInt(t.Unix(), 10)
	}
	return string(format)
}
