package table

// This file reads and writes PostgreSQL's ISO texts of dates and times, in the whole range that PostgreSQL knows.

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 86_400 * microsPerSecond
	infinity        = "infinity"
	minusInfinity   = "-infinity"
)

// The errors do not show the value: they end in logs and in the stream's status.
var (
	errNoDate      = errors.New("not a date")
	errNoTime      = errors.New("not a time of day")
	errNoTimestamp = errors.New("not a timestamp")
)

// daysOf counts the days from 1970-01-01 to a date of the Gregorian calendar;
// year 0 is 1 BC. The calendar repeats every 400 years, and a year that begins
// in March has its leap day at the end.
func daysOf(year, month, day int64) int64 {
	if month <= 2 {
		year--
	}
	era := floorDiv(year, 400)
	yearOfEra := year - era*400
	dayOfYear := (153*((month+9)%12)+2)/5 + day - 1
	return era*146_097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - 719_468
}

// dateOf is the inverse of daysOf.
func dateOf(days int64) (year, month, day int64) {
	days += 719_468
	era := floorDiv(days, 146_097)
	dayOfEra := days - era*146_097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36_524 - dayOfEra/146_096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*dayOfYear + 2) / 153
	day = dayOfYear - (153*shifted+2)/5 + 1
	month = (shifted+2)%12 + 1
	year = yearOfEra + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

func floorDiv(a, b int64) int64 {
	quotient := a / b
	if a%b < 0 {
		quotient--
	}
	return quotient
}

// parseDays reads YYYY-MM-DD; years have four digits or more.
func parseDays(text string) (int64, error) {
	parts := strings.Split(text, "-")
	if len(parts) != 3 {
		return 0, errNoDate
	}
	var numbers [3]int64
	for index, part := range parts {
		number, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return 0, errNoDate
		}
		numbers[index] = number
	}
	return daysOf(numbers[0], numbers[1], numbers[2]), nil
}

// cutEra takes " BC" from the end. Year 1 BC is year 0 to arithmetic.
func cutEra(text string) (rest string, before bool) {
	return strings.CutSuffix(text, " BC")
}

func eraDays(text string) (int64, error) {
	text, before := cutEra(text)
	if !before {
		return parseDays(text)
	}
	year, rest, _ := strings.Cut(text, "-")
	number, err := strconv.ParseInt(year, 10, 64)
	if err != nil {
		return 0, errNoDate
	}
	var month, day int64
	if _, err := fmt.Sscanf(rest, "%d-%d", &month, &day); err != nil {
		return 0, errNoDate
	}
	return daysOf(1-number, month, day), nil
}

// ParseDate reads a date as days since 1970. PostgreSQL's infinities become the ends of the range.
func ParseDate(text string) (int32, error) {
	switch text {
	case infinity:
		return math.MaxInt32, nil
	case minusInfinity:
		return math.MinInt32, nil
	}
	days, err := eraDays(text)
	if err != nil {
		return 0, err
	}
	if days <= math.MinInt32 || days >= math.MaxInt32 {
		return 0, errors.New("a date beyond the range of 32 bits")
	}
	return int32(days), nil
}

// FormatDate is the inverse of ParseDate.
func FormatDate(days int32) string {
	switch days {
	case math.MaxInt32:
		return infinity
	case math.MinInt32:
		return minusInfinity
	}
	date, era := formatDays(int64(days))
	return date + era
}

func formatDays(days int64) (date, era string) {
	year, month, day := dateOf(days)
	if year <= 0 {
		year, era = 1-year, " BC"
	}
	return fmt.Sprintf("%04d-%02d-%02d", year, month, day), era
}

// ParseTime reads hh:mm:ss[.ffffff] as microseconds since midnight; 24:00:00 is a whole day.
func ParseTime(text string) (int64, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	parts := strings.Split(whole, ":")
	if len(parts) != 3 || len(fraction) > 6 {
		return 0, errNoTime
	}
	var micros int64
	for _, part := range parts {
		number, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return 0, errNoTime
		}
		micros = micros*60 + number
	}
	micros *= microsPerSecond
	if fraction == "" {
		return micros, nil
	}
	number, err := strconv.ParseInt(fraction+strings.Repeat("0", 6-len(fraction)), 10, 64)
	if err != nil {
		return 0, errNoTime
	}
	return micros + number, nil
}

// FormatTime is the inverse of ParseTime.
func FormatTime(micros int64) string {
	seconds, fraction := micros/microsPerSecond, micros%microsPerSecond
	text := fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
	if fraction != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%06d", fraction), "0")
	}
	return text
}

// ParseTimestamp reads a timestamp, with +00 where it has a time zone, as
// microseconds since 1970. Infinities become the ends of the range.
func ParseTimestamp(text string) (int64, error) {
	switch text {
	case infinity:
		return math.MaxInt64, nil
	case minusInfinity:
		return math.MinInt64, nil
	}
	rest, before := cutEra(text)
	date, clock, found := strings.Cut(rest, " ")
	if !found {
		return 0, errNoTimestamp
	}
	if before {
		date += " BC"
	}
	days, err := eraDays(date)
	if err != nil {
		return 0, err
	}
	micros, err := ParseTime(strings.TrimSuffix(clock, "+00"))
	if err != nil {
		return 0, err
	}
	// The last 29 years of PostgreSQL's range do not fit when one counts from 1970.
	if days > math.MaxInt64/microsPerDay-1 {
		return 0, errors.New("a timestamp beyond the range of 64-bit microseconds since 1970, which is the year 294246")
	}
	return days*microsPerDay + micros, nil
}

// FormatTimestamp is the inverse of ParseTimestamp.
func FormatTimestamp(micros int64, zone bool) string {
	switch micros {
	case math.MaxInt64:
		return infinity
	case math.MinInt64:
		return minusInfinity
	}
	days := floorDiv(micros, microsPerDay)
	date, era := formatDays(days)
	suffix := ""
	if zone {
		suffix = "+00"
	}
	return date + " " + FormatTime(micros-days*microsPerDay) + suffix + era
}
