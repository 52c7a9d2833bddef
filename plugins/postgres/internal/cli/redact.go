package cli

// This file keeps secrets out of everything that the program says. Libraries put them into their errors: a bucket's signed URL, for one.

import (
	"io"
	"regexp"
	"strings"
)

// hidden stands where a secret stood.
const hidden = "[hidden]"

// signedURL matches the parameters of URLs that give access by themselves.
var signedURL = regexp.MustCompile(`(?i)([?&](?:sig|signature|token|x-(?:amz|goog)-(?:signature|credential|security-token)|[a-z_-]*(?:secret|passw)[a-z_-]*)=)[^&\s"'\\]+`)

// secretName matches environment variables whose values nobody should read.
var secretName = regexp.MustCompile(`(?i)(passw|secret|token|_key$|connection_?string)`)

// shortestSecret: what is shorter is found in words that are none.
const shortestSecret = 6

// redactor hides secrets in texts.
type redactor struct{ secrets *strings.Replacer }

// newRedactor hides the values of an environment that are secret by their names, beside what gives itself away.
func newRedactor(environ []string) redactor {
	var pairs []string
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		// A path leads to a secret and is none.
		if secretName.MatchString(name) && len(value) >= shortestSecret && !strings.HasPrefix(value, "/") && !strings.HasPrefix(name, "STREAMCONTEXT__") {
			pairs = append(pairs, value, hidden)
		}
	}
	return redactor{strings.NewReplacer(pairs...)}
}

func (r redactor) text(text string) string {
	return r.secrets.Replace(signedURL.ReplaceAllString(text, "${1}"+hidden))
}

// writer hides secrets in all that is written, each piece of which has to be whole lines.
func (r redactor) writer(to io.Writer) io.Writer { return redacted{r, to} }

type redacted struct {
	redactor

	to io.Writer
}

func (r redacted) Write(data []byte) (int, error) {
	if _, err := io.WriteString(r.to, r.text(string(data))); err != nil {
		return 0, err //nolint:wrapcheck // a writer
	}
	return len(data), nil
}
