"""The parts of benchmarks/ that compute rather than measure: a wrong median or a ratio upside down would be believed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import __main__ as program
from benchmarks import measure, page, report, sink, targets
from benchmarks.cold import ColdStart
from benchmarks.contenders import ROSTER, US, WrongAnswer, entry_named
from benchmarks.contenders.signing import Signer
from benchmarks.rounds import Sample
from s3func.wire import s3xml, sigv4


def sample(
    scenario: str, contender: str, number: int, *, cpu: float = 1.0, wall: float = 1.0, calls: int = 100, extra: int = 0
) -> Sample:
    return Sample(scenario, contender, number, calls, cpu, wall, 0.0, 0, 0.25, extra)


def test_a_spread_is_the_median_between_the_lowest_and_the_highest() -> None:
    """The median of the rounds stands first, and it is not the mean."""
    assert report.Spread(2.0, 1.0, 9.0) == report.Spread.of([9.0, 1.0, 2.0])
    assert report.Spread(3.0, 2.0, 4.0) == report.Spread.of([2.0, 4.0])
    assert report.Spread.of([]) is None


def test_a_spread_prints_its_range_only_where_there_is_one() -> None:
    """One value has no range."""
    assert "2.00" == report.Spread(2.0, 2.0, 2.0).text()
    assert "2.0 (1.0–9.0)" == report.Spread(2.0, 1.0, 9.0).text(".1f")


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [(report.cpu_us, 20_000.0), (report.wall_us, 40_000.0), (report.rate, 25.0), (report.sink_busy, 6.25)],
)
def test_quantities_are_per_call(quantity: Callable[[Sample], float], expected: float) -> None:
    """CPU and wall are divided by the calls, the rate is its inverse, and the sink is compared with the wall."""
    assert expected == pytest.approx(quantity(sample("put, 1 thread", US, 0, cpu=2.0, wall=4.0)))


def test_a_ratio_is_taken_between_neighbours_of_one_round() -> None:
    """A round in which the machine was slow for both changes nothing, and a round that one of them lacks is not used."""
    samples = [
        sample("get", US, 0, cpu=1.0),
        sample("get", "boto3", 0, cpu=20.0),
        sample("get", US, 1, cpu=3.0),
        sample("get", "boto3", 1, cpu=60.0),
        sample("get", US, 2, cpu=1.0),
        sample("put", "boto3", 2, cpu=99.0),
    ]
    assert report.Spread(20.0, 20.0, 20.0) == report.ratio(samples, "get", "boto3", US, report.cpu_us)
    assert report.ratio(samples, "head", "boto3", US, report.cpu_us) is None


def test_a_table_of_calls_shows_theirs_divided_by_ours() -> None:
    """What costs four times ours is 4.00 in the first table; ours is 1.00; a verb that was not run has no column."""
    samples = [
        sample("put, 1 thread", US, 0, cpu=0.002, wall=0.004),
        sample("put, 1 thread", "boto3", 0, cpu=0.008, wall=0.040),
    ]
    lines = report.calls_tables(samples, "1 thread", ["put", "get"]).splitlines()
    assert "| × ours | CPU put | time put |" in lines
    assert "| s3func | 1.00 | 1.00 |" in lines
    assert "| boto3 | 4.00 | 10.00 |" in lines
    assert "| boto3 | 80.0 | 2,500 | 625 | SHA-256, CRC32 |" in lines
    assert "" == report.calls_tables(samples, "8 threads", ["put"])


def test_a_table_of_streams_is_compared_with_the_raw_socket() -> None:
    """Half the raw socket's time is twice its speed, and the peak of memory is told in MiB."""
    samples = [
        sample("download", US, 0, cpu=0.5, wall=1.0, calls=1, extra=3 << 20),
        sample("download", report.RAW, 0, cpu=0.25, wall=0.5, calls=1),
    ]
    lines = report.stream_table(samples, 512).splitlines()
    assert "| s3func | 0.50 | 0.50 | 1.000 | 1.00 | 3.0 | 25 | – |" in lines
    assert "| raw socket | 1.00 | 1.00 | 0.500 | 0.50 | 0.0 | 50 | – |" in lines


def test_targets_say_what_is_met_and_what_is_not() -> None:
    """A limit from above and one from below are both judged by the median."""
    samples = [
        sample("put, 1 thread", US, 0, cpu=1.0),
        sample("put, 1 thread", "obstore", 0, cpu=2.0),
        sample("put, 1 thread", "boto3", 0, cpu=19.0),
        sample("put, 8 threads", US, 0, wall=1.0),
        sample("put, 8 threads", "urllib3", 0, wall=3.0),
    ]
    starts = [
        ColdStart(US, 21.0, 1.0, 30.0, 1.0, (30.0, 30.0)),
        ColdStart("obstore", 7.0, 1.0, 20.0, 1.0, (20.0, 20.0)),
    ]
    met = {verdict.what: verdict.met for verdict in targets.verdicts(samples, starts, 8)}
    assert {
        "CPU of a put ÷ obstore's": True,
        "boto3's CPU of a put ÷ ours": False,
        "puts/s in 8 threads ÷ urllib3's": True,
        "import over a bare interpreter, ms": False,
        "start to first put ÷ obstore's": True,
    } == met


@pytest.mark.parametrize("prefix", [page.PLAIN_PREFIX, page.LAKE_PREFIX])
@pytest.mark.parametrize("url_encoded", [False, True])
def test_the_measured_page_is_a_page_of_s3(prefix: str, url_encoded: bool) -> None:
    """Our own parser reads 1,000 rows from it, whose sizes add up to what each client is checked against."""
    listing = s3xml.parse_list_objects(page.list_page(sink.BUCKET, prefix, url_encoded=url_encoded))
    rows = list(listing.entries)
    assert (page.KEYS, page.TOTAL_SIZE) == (len(rows), sum(row.size or 0 for row in rows))
    assert url_encoded == (b"%3D" in page.list_page(sink.BUCKET, page.LAKE_PREFIX, url_encoded=url_encoded))


@pytest.mark.parametrize("checksum", ["", "x-amz-checksum-crc32:AAAAAA=="])
def test_the_signer_of_the_floor_signs_correctly(checksum: str) -> None:
    """A floor that saved a step would be no floor: its signature is the one of the four steps of SigV4."""
    payload_hash = "ab" * 32
    lines = Signer("127.0.0.1:9").header_lines("PUT", "/bench/a%20b", payload_hash, checksum)
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines.splitlines())}
    claimed = sigv4.parse_authorization(headers["authorization"])
    request = sigv4.canonical_request("PUT", "/bench/a%20b", "", headers, claimed.signed_headers, payload_hash)
    scope = sigv4.credential_scope(claimed.date8, claimed.region, claimed.service)
    key = sigv4.signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", claimed.date8, claimed.region, claimed.service)
    text = sigv4.string_to_sign(headers["x-amz-date"], scope, request)
    assert sigv4.signature(key, text) == claimed.signature
    assert set(headers) - {"authorization"} == set(claimed.signed_headers)


class _Answers:
    """A contender that says what it is told to say."""

    def __init__(self, etag: str = sink.ETAG, size: int = sink.SMALL_SIZE) -> None:
        self.etag = etag
        self.size = size
        self.keys: list[str] = []

    def put(self, key: str, body: bytes) -> str:
        self.keys.append(key)
        return self.etag

    def get(self, key: str) -> int:
        self.keys.append(key)
        return self.size

    def head(self, key: str) -> int:
        return self.get(key)

    def list_page(self, prefix: str) -> tuple[int, int]:
        return page.KEYS, self.size

    def upload_memory(self, key: str, body: bytes) -> str:
        return self.etag

    def upload_file(self, key: str, path: str) -> str:
        return self.etag

    def download(self, key: str) -> int:
        return self.size

    def close(self) -> None: ...


@pytest.mark.parametrize("verb", ["put", "get", "head"])
def test_nobody_is_measured_failing(verb: str) -> None:
    """An answer without the sink's ETag or size ends the measurement; the right one does not."""
    measure.small_call(_Answers(), verb)("key")
    with pytest.raises(WrongAnswer, match=verb):
        measure.small_call(_Answers(etag="other", size=7), verb)("key")
    with pytest.raises(WrongAnswer, match="list"):
        measure.list_call(_Answers())("prefix")


@pytest.mark.parametrize("threads", [1, 3])
def test_every_call_of_every_thread_is_counted(threads: int) -> None:
    """The reading's calls are the calls that reached the client, apart from the one that connects each thread."""
    contender = _Answers()
    reading = measure.run_calls(measure.small_call(contender, "get"), ["a", "b", "c"], threads, 0.02, [])
    warm_up = 0 if threads == 1 else threads
    assert len(contender.keys) - warm_up == reading.calls
    assert reading.calls > 0
    assert {"a", "b", "c"} == set(contender.keys)


def test_a_thread_that_fails_fails_the_measurement() -> None:
    """Its error is raised where the others were waited for."""
    with pytest.raises(WrongAnswer):
        measure.run_calls(measure.small_call(_Answers(size=1), "get"), ["a"], 2, 0.02, [])


def test_every_row_of_the_roster_can_be_started_cold() -> None:
    """Names are unique, and the programs of the cold start are Python once the address is filled in."""
    assert len(ROSTER) == len({entry.name for entry in ROSTER})
    for entry in ROSTER:
        put = entry.first_put.format(endpoint="http://127.0.0.1:9", address="127.0.0.1:9", bucket="bench")
        compile(f"{entry.import_line}\n{put}", entry.name, "exec")
        assert bool(entry.import_line) == bool(entry.first_put)
    assert entry_named(US) is ROSTER[0]


def test_options_name_what_they_do_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    """A selection is refused before anything is started, and says which word is wrong."""
    for arguments, word in ((["--only", "puts,lyst"], "lyst"), (["--contenders", "boto2"], "boto2")):
        with pytest.raises(SystemExit) as left:
            program.main(arguments)
        assert 2 == left.value.code
        assert word in capsys.readouterr().err


def test_a_machine_without_nginx_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the packages."""
    monkeypatch.setattr("shutil.which", lambda name: "/nonexistent/nginx")
    with pytest.raises(sink.SinkUnavailable, match="apt-get install nginx-light"):
        sink.Sink(1 << 20)
