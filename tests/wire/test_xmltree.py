"""The XML reader against expat: it accepts what expat accepts and finds the same in it, and refuses the rest."""

from __future__ import annotations

import re
from xml.parsers import expat

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from s3func.errors import ProtocolError
from s3func.wire.xmltree import DEPTH_MAX, Element, decode_document, escape, parse_tree, unescape, xml_can_carry
from tests.shared_data import HOSTILE_KEYS

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
Tree = tuple[str, str, list["Tree"]]

NAMES = st.sampled_from(["Key", "a", "ListBucketResult", "x-y.z_1", "_"])
TEXTS = st.text(st.sampled_from("ab&<>\"'\r\n\t ]é😀%+"), max_size=8)


def parse(body: bytes) -> Element:
    """Decode and parse."""
    return parse_tree(decode_document(body))


def as_tuple(element: Element) -> Tree:
    """An element as plain data."""
    return (element.name, element.text, [as_tuple(child) for child in element.children])


def expat_tree(body: bytes) -> Tree:
    """What expat finds, a DOCTYPE refused; text beside child elements is kept, so that mixed content shows."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    root: Tree = ("", "", [])
    stack: list[Tree] = [root]
    texts: list[list[str]] = [[]]

    def start(name: str, _: dict[str, str]) -> None:
        stack.append((name.rpartition(":")[2], "", []))
        texts.append([])

    def end(_: str) -> None:
        name, _, children = stack.pop()
        text = "".join(texts.pop())
        stack[-1][2].append((name, text, children))

    def characters(data: str) -> None:
        texts[-1].append(data)

    def doctype(*_: object) -> None:
        raise expat.ExpatError("a DOCTYPE")

    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.Parse(body, True)
    return root[2][0]


def without_layout(tree: Tree) -> Tree:
    """The tree without the white space that lays out child elements."""
    name, text, children = tree
    return (name, "" if children and not text.strip(" \t\n") else text, [without_layout(child) for child in children])


def is_mixed(tree: Tree) -> bool:
    """Whether some element holds text beside elements, which S3's documents never do."""
    _, text, children = tree
    return (bool(children) and bool(text.strip(" \t\n"))) or any(map(is_mixed, children))


@st.composite
def documents(draw: st.DrawFn, depth: int = 3) -> str:
    """Well-formed elements in every spelling: attributes, prefixes, CDATA, comments, references, layout."""
    name = draw(st.sampled_from(["", "s3:"])) + draw(NAMES)
    attributes = draw(st.sampled_from(["", "", ' xmlns="http://s3"', " a='1' b = \"&lt;\"", "\n\tx:y='&#65;'"]))
    if depth and draw(st.booleans()):
        layout = draw(st.sampled_from(["", "\n  ", "<!-- - c -->", "<?pi x?>", "\r\n"]))
        children = draw(st.lists(documents(depth - 1), max_size=3))
        content = layout + layout.join(children) + layout
    else:
        content = "".join(draw(st.lists(st.one_of(TEXTS.map(spelled_plainly), TEXTS.map(as_cdata), references()))))
    if not content and draw(st.booleans()):
        return f"<{name}{attributes} />"
    return f"<{name}{attributes}>{content}</{name}\n>"


def spelled_plainly(text: str) -> str:
    """A text with only what must be escaped escaped, line ends left raw."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_cdata(text: str) -> str:
    """A text as a CDATA section."""
    return f"<![CDATA[{text.replace(']]>', '')}]]>"


def references() -> st.SearchStrategy[str]:
    """Character references of every kind."""
    return st.sampled_from(["&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#13;", "&#xA;", "&#x1F600;", "&#0065;"])


@given(
    documents(), st.sampled_from(["", '<?xml version="1.0" encoding="UTF-8"?>\n', "<?xml version='1.0'?>", "\ufeff"])
)
def test_well_formed_documents_read_as_expat_reads_them(document: str, prolog: str) -> None:
    """Names, texts and nesting of any well-formed document are the ones that expat finds."""
    body = (prolog + document).encode()
    assert without_layout(expat_tree(body)) == as_tuple(parse(body))


PIECES = ["<", ">", "/", "&", ";", '"', "'", "=", " ", "]]>", "<!--", "-->", "<![CDATA[", "--", "?>", "<?", "&#", "a", "<a>", "</a>", "<!DOCTYPE a>", "\n"]  # fmt: skip


@given(documents(), st.data())
def test_broken_documents_are_refused_where_expat_refuses_them(document: str, data: st.DataObject) -> None:
    """After any small damage, either expat accepts the document as well, with the same contents, or nobody does."""
    place = data.draw(st.integers(0, len(document)))
    width = data.draw(st.integers(0, 3))
    document = document[:place] + data.draw(st.sampled_from(["", *PIECES])) + document[place + width :]
    # Without namespaces a name may hold stray colons; with them, as S3 has them, it may not. Only we look at that.
    assume(not re.search(r"(?<![A-Za-z0-9_.\-]):|:(?![A-Za-z_])|:[A-Za-z0-9_.\-]*:", document))
    body = document.encode()
    try:
        expected = expat_tree(body)
    except expat.ExpatError as error:
        # A reference to a control character is what we read and expat does not: it has tests of its own.
        assume(str(error).partition(":")[0] != expat.errors.XML_ERROR_BAD_CHAR_REF)
        with pytest.raises(ProtocolError):
            parse(body)
        return
    if is_mixed(expected):
        with pytest.raises(ProtocolError):
            parse(body)
    else:
        assert without_layout(expected) == as_tuple(parse(body))


@given(documents())
def test_a_document_that_was_cut_off_is_refused(document: str) -> None:
    """No beginning of a document passes for the whole, wherever it breaks."""
    whole = document.encode().rstrip()
    for length in range(len(whole)):
        with pytest.raises(ProtocolError):
            parse(whole[:length])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   \n",
        b"plain text",
        b'{"Code": "AccessDenied"}',
        b"<html><body><p>Sign in<br></body></html>",
        b"<!DOCTYPE html><html></html>",
        b"<a/><b/>",
        b"<a/>x",
        b"x<a/>",
        b"<a></b>",
        b"<a><b></a></b>",
        b"<a b='1' b='2'/>",
        b"<a b=1/>",
        b"<a b='<'/>",
        b"<a b='&x;'/>",
        b"<a>&nbsp;</a>",
        b"<a>&</a>",
        b"<a>&amp</a>",
        b"<a>&#;</a>",
        b"<a>&#xD800;</a>",
        b"<a>&#x110000;</a>",
        b"<a>&#99999999;</a>",
        b"<a>]]></a>",
        b"<a>text<b/></a>",
        b"<a><!-- -- --></a>",
        b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
        b"<?xml version='1.0\"?><a/>",
        b"<a/><?xml version='1.0'?>",
        b"<a>\xff</a>",
        b"<a>\xed\xa0\x80</a>",
        "<a/>".encode("utf-16"),
    ],
)
def test_what_is_no_s3_document_is_refused(body: bytes) -> None:
    """HTML, JSON, broken nesting, stray ampersands, other encodings: ProtocolError, and nothing else."""
    with pytest.raises(ProtocolError):
        parse(body)


def test_entities_are_neither_defined_nor_expanded() -> None:
    """A document type is refused before anything in it could expand or be fetched."""
    bomb = b'<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;"><!ENTITY z SYSTEM "file:///etc/passwd">]><a>&y;&z;</a>'
    with pytest.raises(ProtocolError, match="DOCTYPE"):
        parse(bomb)


def test_nesting_is_limited() -> None:
    """Deep nesting is refused at a fixed depth, long before Python's own limit."""
    assert "a" == parse(b"<a>" * DEPTH_MAX + b"</a>" * DEPTH_MAX).name
    with pytest.raises(ProtocolError, match="deep"):
        parse(b"<a>" * (DEPTH_MAX + 1) + b"</a>" * (DEPTH_MAX + 1))


@pytest.mark.parametrize("space", ["", "\n", "  \r\n\t", " " * 10_000])
def test_white_space_before_the_document_is_allowed(space: str) -> None:
    """S3 keeps a connection alive with white space, before the declaration or behind it."""
    assert "Error" == parse(f'{space}<?xml version="1.0" encoding="utf-8"?>{space}<Error/>{space}'.encode()).name


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_hostile_texts_survive_escaping(key: str) -> None:
    """Any key comes back exactly from a document that holds it, control characters and line ends included."""
    assert key == unescape(escape(key))
    assert key == parse(f"<Key>{escape(key)}</Key>".encode()).text


@given(ANY_TEXT)
def test_any_text_survives_escaping(text: str) -> None:
    """Escaping loses nothing, for our reader; and for any XML 1.0 reader where XML 1.0 has the characters."""
    body = f"<Key>{escape(text)}</Key>".encode()
    assert text == parse(body).text
    if xml_can_carry(text):
        assert text == expat_tree(body)[1]
    else:
        with pytest.raises(expat.ExpatError):
            expat_tree(body)


def test_control_characters_are_read_as_stores_send_them() -> None:
    """Ceph sends `&#x01;` and moto the raw byte; expat refuses both, and the bucket could not be listed."""
    assert "ctl\x01\x0b" == parse(b"<Key>ctl&#x01;&#x0b;</Key>").text
    assert "ctl\x01\x0b" == parse(b"<Key>ctl\x01\x0b</Key>").text


def test_raw_line_ends_are_those_of_xml() -> None:
    """A raw CR or CRLF is a LF in XML, whoever wrote it; only a reference keeps the CR."""
    assert "a\nb\nc\rd" == parse(b"<Key>a\r\nb\rc&#13;d</Key>").text


def test_children_are_found_by_their_local_names() -> None:
    """Prefixes and namespaces do not matter; a field that stands there twice is not guessed."""
    root = parse(b'<x:A xmlns:x="urn:s3"><x:B>1</x:B><C>2</C><C>3</C></x:A>')
    assert ("A", "1", None) == (root.name, root.value("B"), root.value("D"))
    assert ["2", "3"] == [child.text for child in root.all("C")]
    with pytest.raises(ProtocolError, match="more than one C"):
        root.child("C")
