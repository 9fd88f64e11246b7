"""How the pages look, and the policy that lets a browser take this style sheet and nothing else."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

STYLE = """
:root { color-scheme: light dark; --back: #fff; --fore: #1d2127; --soft: #5b6470; --line: #d9dee4; --tint: #f4f6f8;
  --link: #0b57d0; --bad: #b3261e; --good: #146c2e; --button: #0b57d0; --on-button: #fff; }
@media (prefers-color-scheme: dark) { :root { --back: #15181c; --fore: #e4e7eb; --soft: #9aa4b0; --line: #333a42;
  --tint: #1d2227; --link: #8ab4f8; --bad: #f2948c; --good: #7fd394; --button: #8ab4f8; --on-button: #10233f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--fore); font: 1rem/1.5 system-ui, sans-serif; }
a { color: var(--link); text-underline-offset: .15em; }
a:not(:hover) { text-decoration-color: transparent; }
main a:focus-visible, a:focus-visible, button:focus-visible, input:focus-visible, summary:focus-visible {
  outline: 2px solid var(--link); outline-offset: 2px; border-radius: .2rem; }
.skip { position: absolute; left: -100rem; background: var(--back); padding: .5rem 1rem; }
.skip:focus { left: 0; z-index: 1; }
body > header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center; padding: .6rem 1.25rem;
  border-bottom: 1px solid var(--line); background: var(--tint); }
body > header strong a { color: var(--fore); }
body > header form { margin-left: auto; display: flex; gap: .75rem; align-items: center; }
body > header p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
main { max-width: 76rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
nav ol { display: flex; flex-wrap: wrap; gap: .1rem .45rem; list-style: none; margin: 0; padding: 0; }
nav li { overflow-wrap: anywhere; }
nav li + li::before { content: "/"; color: var(--soft); margin-right: .45rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .75rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
bdi { white-space: pre-wrap; }
bdi i { font: .85em ui-monospace, monospace; background: var(--line); border-radius: .2rem; padding: 0 .15rem; }
table { width: 100%; border-collapse: collapse; }
caption { text-align: left; color: var(--soft); padding: .35rem 0; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top;
  font-weight: inherit; }
th:first-child, td:first-child { padding-left: 0; }
tbody th { overflow-wrap: anywhere; min-width: 12rem; }
thead th { color: var(--soft); font-size: .875rem; }
tbody tr:hover { background: var(--tint); }
.number, .actions { text-align: right; white-space: nowrap; }
.number, time { font-variant-numeric: tabular-nums; white-space: nowrap; }
.actions a + a { margin-left: .75rem; }
.scroll { overflow-x: auto; }
.soft { color: var(--soft); }
code { font: .875em ui-monospace, monospace; overflow-wrap: anywhere; }
.danger { color: var(--bad); }
.row { display: flex; flex-wrap: wrap; gap: .75rem 1rem; align-items: end; }
.bar { justify-content: space-between; margin-bottom: 1rem; }
fieldset, .panel { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem 1rem; margin: 0 0 1rem; }
details > summary { cursor: pointer; font-weight: 600; }
details[open] > summary { margin-bottom: .75rem; }
label { display: block; font-size: .875rem; color: var(--soft); }
label.check { display: flex; gap: .5rem; align-items: center; color: inherit; font-size: 1rem; }
input { font: inherit; color: inherit; max-width: 100%; }
input[type=text], input[type=password], input[type=search] { display: block; width: 22rem; padding: .35rem .55rem;
  border: 1px solid var(--soft); border-radius: .35rem; background: var(--back); }
button, .button { display: inline-block; font: inherit; font-weight: 600; padding: .35rem .95rem; cursor: pointer;
  border: 1px solid var(--button); border-radius: .35rem; background: var(--button); color: var(--on-button);
  text-decoration: none; }
button.plain, .button.plain { background: transparent; color: var(--link); border-color: var(--line); }
a.button.danger { color: var(--bad); }
button.danger { background: var(--bad); border-color: var(--bad); color: var(--back); }
.note { border: 1px solid var(--line); border-left: .3rem solid var(--good); border-radius: .35rem; padding: .5rem .9rem;
  margin: 0 0 1rem; overflow-wrap: anywhere; }
.note.bad { border-left-color: var(--bad); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.25rem; margin: 0 0 1.25rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.sign-in { max-width: 26rem; }
.sign-in .panel > * + * { margin-top: .75rem; }
.sign-in input { width: 100%; }
@media (max-width: 40rem) { .wide { display: none; } .actions a + a { margin-left: 0; }
  .actions a { display: block; } tbody th { min-width: 6rem; } .actions, time { white-space: normal; }
  main, body > header { padding-left: .75rem; padding-right: .75rem; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
"""

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath fill='%230b57d0' d='M2 3h12l-1.6 11H3.6z'/%3E%3C/svg%3E"
)
"""Of the tab, so that a browser does not ask a bucket called favicon.ico for it."""

POLICY = "; ".join(
    [
        "default-src 'none'",
        f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'",
        "img-src data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
"""https://www.w3.org/TR/CSP3/: the Content-Security-Policy of every page."""

DOWNLOAD_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""And of what is stored, which is not shown at all."""
