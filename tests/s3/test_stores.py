"""The rows of stores.py: each is found by its host and by its name, drives the options, and is what the page says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from s3func.s3 import stores
from s3func.s3.endpoints import Endpoint, PartRules
from s3func.s3.stores import STORES, Store, at_host, named
from s3func.s3.upload_plan import PART_MAX, growing_part_size, part_size
from s3func.transport.transfer import MIB, TransferConfig

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"

# Host, the name of its row, the region that it is in.
HOSTS = [
    ("s3.eu-west-1.amazonaws.com", "aws", "eu-west-1"),
    ("s3.amazonaws.com", "aws", None),
    ("s3.dualstack.us-west-2.amazonaws.com", "aws", "us-west-2"),
    ("s3-fips.dualstack.us-west-2.amazonaws.com", "aws", "us-west-2"),
    ("s3-us-west-2.amazonaws.com", "aws", "us-west-2"),
    ("s3.cn-north-1.amazonaws.com.cn", "aws", "cn-north-1"),
    ("s3-accelerate.amazonaws.com", "aws-accelerate", None),
    ("s3.oss-cn-hangzhou.aliyuncs.com", "alibaba", "cn-hangzhou"),
    ("s3.eu-central-003.backblazeb2.com", "b2", "eu-central-003"),
    ("fra1.digitaloceanspaces.com", "digitalocean", "fra1"),
    ("sos-ch-gva-2.exo.io", "exoscale", "ch-gva-2"),
    ("storage.googleapis.com", "gcs", "auto"),
    ("fsn1.your-objectstorage.com", "hetzner", "fsn1"),
    ("obs.ap-southeast-1.myhuaweicloud.com", "huawei", "ap-southeast-1"),
    ("s3.us-south.cloud-object-storage.appdomain.cloud", "ibm", "us-south"),
    ("s3.us-west-1.idrivee2.com", "idrive", "us-west-1"),
    ("s3.eu-central-3.ionoscloud.com", "ionos", "eu-central-3"),
    ("us-ord-1.linodeobjects.com", "linode", "us-ord-1"),
    ("play.min.io", "minio", "us-east-1"),
    ("ns1234.compat.objectstorage.eu-frankfurt-1.oraclecloud.com", "oracle", "eu-frankfurt-1"),
    ("oos.eu-west-2.outscale.com", "outscale", "eu-west-2"),
    ("s3.gra.io.cloud.ovh.net", "ovh", "gra"),
    ("0123456789abcdef.r2.cloudflarestorage.com", "r2", "auto"),
    ("0123456789abcdef.eu.r2.cloudflarestorage.com", "r2", "auto"),
    ("s3.fr-par.scw.cloud", "scaleway", "fr-par"),
    ("gateway.storjshare.io", "storj", None),
    ("cos.ap-beijing.myqcloud.com", "tencent", "ap-beijing"),
    ("t3.storage.dev", "tigris", "auto"),
    ("ewr1.vultrobjects.com", "vultr", "ewr1"),
    ("s3.eu-central-1.wasabisys.com", "wasabi", "eu-central-1"),
    ("s3.wasabisys.com", "wasabi", "us-east-1"),
    ("storage.yandexcloud.net", "yandex", "ru-central1"),
]


@pytest.mark.parametrize(("host", "name", "region"), HOSTS)
def test_a_store_is_known_by_its_host(host: str, name: str, region: str | None) -> None:
    """The host of an endpoint says which store it is, and its region where that is part of it."""
    store = at_host(host)
    assert store is not None
    assert name == store.name
    assert region == store.region_of(host)


def test_every_store_with_a_host_is_tried() -> None:
    """No row with a host is missing above."""
    assert {store.name for store in STORES if store.endpoints} == {name for _, name, _ in HOSTS}


@pytest.mark.parametrize(
    "host",
    [
        "store.example",
        "s3.eu-west-1.amazonaws.com.evil.example",
        "evil-s3.eu-west-1.amazonaws.com",
        "bucket.s3.eu-west-1.amazonaws.com",
        "s3.eu-west-1.evil.amazonaws.com",
        "bucket.vpce-1a2b3c4d-5e6f.s3.us-west-2.vpce.amazonaws.com",
        "s3.wasabisys.com.example",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "",
    ],
)
def test_another_host_is_no_known_store(host: str) -> None:
    """A host that only resembles one, or that stands for one bucket or one network, is nobody's."""
    assert at_host(host) is None


def test_a_store_is_known_by_its_name() -> None:
    """Every name leads to its row and no two rows share one; another is a ValueError that lists them."""
    for store in STORES:
        assert store is named(store.name)
    assert len(STORES) == len({store.name for store in STORES})
    with pytest.raises(ValueError, match=r"store is unknown: 'nowhere'; known are aws-accelerate, aws, .*yandex"):
        named("nowhere")
    with pytest.raises(TypeError, match="store must be a str, not int"):
        named(1)


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.name)
def test_a_row_says_where_it_is_from(store: Store) -> None:
    """Each row has sources, an addressing style that there is, and hosts that lead back to it."""
    assert store.sources
    assert all(source.startswith("https://") for source in store.sources)
    assert store.addressing in {"path", "virtual"}
    for template in store.endpoints:
        assert store is at_host(
            template.replace("{region}", "x-1").replace("{account}", "a").replace("{namespace}", "n")
        )


def test_the_url_of_a_store() -> None:
    """A name and a region are enough where they say it all; otherwise the error says what has to be given."""
    assert "https://s3.eu-central-1.wasabisys.com" == named("wasabi").url("eu-central-1")
    assert "https://s3.us-east-1.wasabisys.com" == named("wasabi").url(None)
    assert "https://storage.googleapis.com" == named("gcs").url("anything")
    with pytest.raises(
        ValueError, match=r"store='hetzner' needs a region, for https://\{region\}\.your-objectstorage\.com"
    ):
        named("hetzner").url(None)
    with pytest.raises(
        ValueError, match=r"store='r2' needs endpoint_url='https://\{account\}\.r2\.cloudflarestorage\.com'"
    ):
        named("r2").url("auto")
    with pytest.raises(ValueError, match=r"store='garage' is self-hosted: endpoint_url has to say where"):
        named("garage").url(None)


@pytest.mark.parametrize(
    ("url", "region", "elsewhere"),
    [
        ("https://s3.us-east-1.amazonaws.com", "us-east-1", "https://s3.eu-west-1.amazonaws.com"),
        ("https://s3.amazonaws.com", "us-east-1", "https://s3.eu-west-1.amazonaws.com"),
        ("https://s3.dualstack.us-east-1.amazonaws.com", "us-east-1", "https://s3.dualstack.eu-west-1.amazonaws.com"),
        ("https://s3.wasabisys.com", "us-east-1", "https://s3.eu-west-1.wasabisys.com"),
        (
            "https://ns.compat.objectstorage.us-east-1.oraclecloud.com",
            "us-east-1",
            "https://ns.compat.objectstorage.eu-west-1.oraclecloud.com",
        ),
        # Hosts without a region serve all of them.
        ("https://storage.googleapis.com", "auto", "https://storage.googleapis.com"),
        ("https://a.r2.cloudflarestorage.com", "auto", "https://a.r2.cloudflarestorage.com"),
    ],
)
def test_another_region_of_the_same_store(url: str, region: str, elsewhere: str) -> None:
    """The given host is kept for the given region, and a bucket found elsewhere is asked at that region's host."""
    endpoint = Endpoint(url, region, store=at_host(url.removeprefix("https://")))
    assert (url, "/bucket/") == (endpoint.place("bucket").origin, endpoint.place("bucket").prefix)
    assert (elsewhere, "eu-west-1") == (
        endpoint.place("bucket", "eu-west-1").origin,
        endpoint.place("bucket", "eu-west-1").region,
    )


def test_where_the_bucket_stands() -> None:
    """A row that wants buckets in the host name gets them there, unless the caller says otherwise."""
    url = "https://s3.oss-cn-hangzhou.aliyuncs.com"
    alibaba = named("alibaba")
    assert "https://bucket.s3.oss-cn-hangzhou.aliyuncs.com" == Endpoint(url, "r", store=alibaba).place("bucket").origin
    assert url == Endpoint(url, "r", "path", store=alibaba).place("bucket").origin
    assert url == Endpoint(url, "r").place("bucket").origin


@pytest.mark.parametrize("given", [None, 5 * MIB])
def test_a_store_that_takes_fewer_parts(given: int | None) -> None:
    """A thousand parts hold what a store of a thousand parts can hold, with a size known beforehand and without."""
    rules = PartRules(most=1000)
    transfer = TransferConfig(part_size=given)
    for size in (1, 10**9, 5 * 10**12):
        assert -(-size // part_size(size, transfer, rules)) <= 1000
    with pytest.raises(ValueError, match="the store holds at most 1000 parts"):
        part_size(1001 * PART_MAX, transfer, rules)
    sizes = [growing_part_size(number, transfer, rules) for number in range(1, 1001)]
    assert sizes == sorted(sizes)
    assert sum(sizes) > 10**12
    assert PART_MAX >= sizes[-1]


def test_a_store_that_wants_equal_parts() -> None:
    """The parts of a stream of unknown length do not grow there; a given size is kept."""
    rules = PartRules(equal=True)
    assert {32 * MIB} == {growing_part_size(number, TransferConfig(), rules) for number in (1, 2, 5000, 10_000)}
    given = TransferConfig(part_size=64 * MIB)
    assert {64 * MIB} == {growing_part_size(number, given, rules) for number in (1, 2, 5000, 10_000)}


def test_the_page_is_made_from_the_rows() -> None:
    """docs/providers.md is what `python -m s3func.s3.stores` prints."""
    assert stores.describe() == PAGE.read_text("utf-8")
    printed = subprocess.run([sys.executable, "-m", "s3func.s3.stores"], capture_output=True, text=True, check=True)
    assert stores.describe() == printed.stdout
