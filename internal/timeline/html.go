package timeline

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// page is the style of the page around the drawing.
const page = `:root{color-scheme:light dark}
body{margin:0 auto;padding:1rem;max-width:90rem;font:1rem/1.45 system-ui,sans-serif;color:#1f2328;background:#fff}
h1{font-size:1.35rem;margin:.2rem 0}p{margin:.2rem 0 1rem}
.scroll{overflow-x:auto;margin:0 0 1.5rem}.scroll:focus-visible{outline:2px solid #0969da}
.scroll svg{display:block;width:100%;min-width:70rem;height:auto}
table{border-collapse:collapse;width:100%;min-width:75rem}caption{text-align:left;font-weight:bold;padding:.4rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-bottom:1px solid #d1d9e0}
tbody th{overflow-wrap:anywhere;min-width:8rem;max-width:20rem}code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.9em}
td ul{margin:0;padding:0;list-style:none;min-width:20rem}
@media (prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#2f363e}.scroll:focus-visible{outline-color:#58a6ff}}
`

// HTML draws a picture as a page that stands alone: it loads nothing and runs nothing,
// and its policy lets no browser do otherwise.
func (p *Picture) HTML() string {
	const css = style + page
	sum := sha256.Sum256([]byte(css))
	var rows, asides []byte
	for _, r := range p.Rows {
		rows = fmt.Appendf(rows, `<tr><th scope="row"><bdi>%s</bdi></th><td>%s</td><td><code>%s</code><br>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>`+"\n",
			escape(r.Name), escape(r.Scheduler), escape(r.Spec), escape(r.When), escape(r.times()), list(r.coming()), list(r.gone()))
	}
	for _, line := range p.asides() {
		asides = fmt.Appendf(asides, "<li><bdi>%s</bdi></li>\n", escape(line))
	}
	return fmt.Sprintf(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>%s</title>
<style>%s</style>
</head>
<body>
<main>
<h1>%[2]s</h1>
<p>%[4]s</p>
<div class="scroll" role="region" aria-label="the picture" tabindex="0">
%[5]s</div>
<div class="scroll" role="region" aria-label="the table" tabindex="0">
<table>
<caption>Crons</caption>
<thead><tr><th scope="col">Cron</th><th scope="col">Run by</th><th scope="col">Spec</th><th scope="col">In the picture</th><th scope="col">Next</th><th scope="col">Last runs</th></tr></thead>
<tbody>
%[6]s</tbody>
</table>
</div>
<ul>
<li>generated %[8]s</li>
%[7]s</ul>
</main>
</body>
</html>
`, base64.StdEncoding.EncodeToString(sum[:]), escape(p.title()), css, escape(p.heading()), p.draw(""), rows, asides, clock(p.Now))
}

// times says how often a cron is due in the picture.
func (r *Row) times() string {
	n, more := 0, ""
	for _, d := range r.Due {
		n += d.Count
		if d.More {
			more = "more than "
		}
	}
	text := more + count(n, "time")
	if why := r.why(); why != "" {
		text += "; not acted on: " + why
	}
	return text
}

// coming are a cron's next occurrences.
func (r *Row) coming() (all []string) {
	for _, d := range r.Upcoming {
		all = append(all, between(d.From, d.To))
	}
	if all == nil {
		return []string{"never"}
	}
	return all
}

// gone are a cron's last runs in the picture, the newest first.
func (r *Row) gone() (all []string) {
	told := map[*Run]bool{}
	for i := len(r.cells) - 1; i >= 0; i-- {
		runs := r.cells[i].runs
		for j := len(runs) - 1; j >= 0 && len(all) < 3; j-- {
			if told[runs[j]] {
				continue
			}
			told[runs[j]] = true
			all = append(all, clock(runs[j].At)+" "+runs[j].Text)
		}
	}
	if all == nil {
		return []string{"none that is known"}
	}
	return all
}

func list(all []string) string {
	for i := range all {
		all[i] = escape(all[i])
	}
	return "<ul><li>" + strings.Join(all, "</li><li>") + "</li></ul>"
}
