package source

// This file judges what PostgreSQL answers: a moment's trouble, the user's to solve, or nobody foresaw it.

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
)

// Codes of PostgreSQL's errors: https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	codeInUse            = "55006"
	codeNotInState       = "55000"
	codeUndefinedObject  = "42704"
	codeUndefinedFile    = "58P01"
	codeLimitExceeded    = "53400"
	codeNoPrivilege      = "42501"
	codeUnknownDatabase  = "3D000"
	codeUndefinedTable   = "42P01"
	codeUndefinedColumn  = "42703"
	codeDuplicateObject  = "42710"
	classAuthorization   = "28"
	classConnection      = "08"
	classResources       = "53"
	classOperator        = "57"
	classRollback        = "40"
	codeTooManyConnected = "53300"
)

// Judge gives an error of PostgreSQL, or of the way there, its exit code.
func Judge(doing string, err error) error {
	if err == nil || exit.Coded(err) {
		return err
	}
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return judgeAnswer(doing, answer, err)
	}
	if isTLS(err) {
		return exit.Configf("%s: %w", doing, err)
	}
	var connect *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "conn closed") {
		return exit.Transientf("%s: connection lost: %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func judgeAnswer(doing string, answer *pgconn.PgError, err error) error {
	switch {
	case answer.Code == codeLimitExceeded:
		return exit.Configf("%s: %w; raise max_replication_slots on the source", doing, err)
	case strings.HasPrefix(answer.Code, classAuthorization), answer.Code == codeNoPrivilege, answer.Code == codeUnknownDatabase, answer.Code == codeUndefinedTable:
		return exit.Configf("%s: %w", doing, err)
	case answer.Code == codeInUse, isTrouble(answer.Code):
		return exit.Transientf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func isTrouble(code string) bool {
	for _, class := range []string{classConnection, classResources, classOperator, classRollback} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}

// isTLS reports whether the two sides cannot agree on encryption; trying again changes nothing.
func isTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host) ||
		strings.Contains(err.Error(), "server refused TLS connection")
}

// LetInBefore judges an error of connecting where the same password did before. It was
// changed meanwhile, and the next process is given the new one.
func LetInBefore(err error) error {
	var answer *pgconn.PgError
	if errors.As(err, &answer) && strings.HasPrefix(answer.Code, classAuthorization) {
		return exit.Transientf("the source lets this job in no more: %s", err.Error())
	}
	return err
}

// hasCode reports whether PostgreSQL answered with one of these codes.
func hasCode(err error, codes ...string) bool {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return false
	}
	for _, code := range codes {
		if answer.Code == code {
			return true
		}
	}
	return false
}

// JudgeSlot judges an error of reading from the slot: there, what is not found is lost.
func JudgeSlot(slot string, err error) error {
	if hasCode(err, codeUndefinedObject, codeUndefinedFile, codeNotInState) {
		return exit.Gapf("slot %s can no longer give all changes: %w", slot, err)
	}
	if hasCode(err, codeInUse) {
		return exit.Transientf("slot %s is in use by another process: %w", slot, err)
	}
	return Judge("read changes from slot "+slot, err)
}
