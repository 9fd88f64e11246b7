"""The server in a web browser: buckets, prefixes, objects and versions as pages, with upload, download and deletion.

Rule 1: everything lives below `/-/browser/`, which can be no bucket; of S3's own paths only an unsigned GET of the root
        that prefers HTML is answered otherwise than before: it is sent there.
Rule 2: a page does nothing by itself: it asks the app with a request that the signed-in key has signed, and shows the
        answer. So a page may do what its key may do, and faults and the journal see it like any client.
Rule 3: no script, ours or a stored one, ever runs: none is allowed by the policy, every name goes through `markup`, and
        what is stored leaves as an attachment of no type.
Rule 4: every form carries a token of its visitor, and what changes something is a POST.
"""
