package e2e

// This file holds the plugin to one form of every value, whatever the role and the database are set to.

import (
	"strings"
	"testing"
)

// TestSettingsOfTheRoleDoNotMatter, nor those of the database.
func TestSettingsOfTheRoleDoNotMatter(t *testing.T) {
	t.Parallel()
	settings := []string{
		"default_transaction_read_only = on", "default_transaction_isolation = 'serializable'", "default_transaction_deferrable = on",
		"statement_timeout = '50ms'", "lock_timeout = '50ms'", "idle_in_transaction_session_timeout = '50ms'", "idle_session_timeout = '300ms'",
		"DateStyle = 'SQL, DMY'", "IntervalStyle = 'sql_standard'", "TimeZone = 'Asia/Kolkata'", "extra_float_digits = -3",
		"bytea_output = 'escape'", "xmloption = 'document'", "lc_monetary = 'C.UTF-8'", "quote_all_identifiers = on",
		"search_path = 'other'", "standard_conforming_strings = off", "array_nulls = off", "client_encoding = 'LATIN1'",
	}
	statements := append(typeTable(), `CREATE SCHEMA other`, `ALTER TABLE t ADD COLUMN class regclass DEFAULT 't'::regclass`)
	inBothFormats(t, func(s *stream) {
		s.insertTypes()
		s.backfill("plain")
		plain := s.manifest("plain")
		for _, setting := range settings {
			s.exec(`ALTER DATABASE ` + s.database + ` SET ` + setting)
		}
		s.misbehave(envHold + `=part-000001\.json`)
		job := s.start("odd")
		s.holding()
		eventually(s.t, "a session that does nothing would have been ended", func() bool {
			return s.query(`SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'arcane %' AND now() - state_change > '1 second'`) != "0"
		})
		s.release()
		job.want(0)
		s.behave()
		if strings.Contains(job.output.String(), "trying again") {
			s.t.Error("a time-out of the database's ended a session")
		}
		odd := s.manifest("odd")
		if odd.Epoch != plain.Epoch || odd.Parts[0].Schema != plain.Parts[0].Schema || odd.Parts[0].Rows != plain.Parts[0].Rows {
			s.t.Errorf("with other settings the backfill is %+v, it was %+v", odd.Parts[0], plain.Parts[0])
		}
		if s.target["format"] == "jsonl" && s.content(odd.Parts[0].File) != s.content(plain.Parts[0].File) {
			s.t.Error("with other settings the rows are written otherwise")
		}
		job = s.start("")
		s.insertTypes()
		s.verify()
		job.terminate()
		job.want(0)
		s.exec(`ALTER DATABASE ` + s.database + ` RESET ALL`)
		job = s.start("")
		s.verify()
		job.terminate()
		job.want(0)
	}, statements...)
}
