"""What is known of the stores that speak S3, one row each: where they are, and what they do differently from AWS.

A row is chosen by `S3Session(store="wasabi", …)` or by the host of its endpoint; a store without a row is taken to be one
that follows S3 and is addressed by path. Rows drive options; there is no `if` about a store anywhere. Every row names
where its facts come from. docs/providers.md is made from the rows: `python -m s3func.s3.stores > docs/providers.md`.
"""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

_RCLONE = "https://github.com/rclone/rclone/blob/64ab1ac32260238eefca3c61327f5faf1c6e106f/backend/s3/provider"


class Store(NamedTuple):
    """One store.

    endpoints: hosts, the first one for `store=` without an endpoint_url. {region} stands for the region, which is then
    read from the host, too; any other name in braces for what only the account's owner knows. None: it is self-hosted.
    region: what requests are signed for where neither the caller nor the host says it.
    addressing: what addressing_style="auto" means. checksums: whether uploads may carry x-amz-checksum-…
    verifies: whether reads may ask for the stored checksum (x-amz-checksum-mode). max_parts: of a multipart upload.
    equal_parts: all parts but the last have to have one size. copies_parts: whether there is UploadPartCopy.
    names_location: whether CreateBucket has to name the region in its document (LocationConstraint).
    tells_region: whether the answer to any HEAD of a bucket, also to one that is unsigned, says which region it is in.
    notes: what is different and cannot be helped here. sources: URLs.
    """

    name: str
    title: str
    endpoints: tuple[str, ...]
    sources: tuple[str, ...]
    region: str | None = None
    addressing: str = "path"
    checksums: bool = True
    verifies: bool = True
    max_parts: int = 10_000
    equal_parts: bool = False
    copies_parts: bool = True
    names_location: bool = False
    tells_region: bool = False
    notes: str = ""

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is another store than the one that is meant where nothing is said."""
        return self is not DEFAULT

    def region_of(self, host: str) -> str | None:
        """The region that the host names, or the store's usual one."""
        for template in self.endpoints:
            match = _match(template, host)
            if match is not None and "{region}" in template:
                return match["region"]
        return self.region

    def template_of(self, host: str) -> str | None:
        """The host with {region} in place of the region: where the store's other regions are."""
        for template in self.endpoints:
            match = _match(template, host)
            if match is not None:
                break
        else:
            return None
        if "{region}" not in template:
            others = [other for other in self.endpoints if "{region}" in other]
            return others[0] if others and set(_names(others[0])) == {"region"} else None
        for name, value in match.groupdict().items():
            if name != "region":
                template = template.replace(f"{{{name}}}", value)
        return template

    def url(self, region: str | None) -> str:
        """The endpoint_url in a region; ValueError says what has to be given."""
        if not self.endpoints:
            raise ValueError(f"store={self.name!r} is self-hosted: endpoint_url has to say where")
        template = self.endpoints[0]
        if any(name != "region" for name in _names(template)):
            raise ValueError(f"store={self.name!r} needs endpoint_url='https://{template}' with your own in the braces")
        if "{region}" in template:
            region = region or self.region
            if region is None:
                raise ValueError(f"store={self.name!r} needs a region, for https://{template}")
            template = template.replace("{region}", region)
        return f"https://{template}"


STORES = (
    # Before the row below, whose oldest hosts look alike.
    Store(
        "aws-accelerate",
        "Amazon S3 Transfer Acceleration, given as a URL",
        ("s3-accelerate.amazonaws.com", "s3-accelerate.dualstack.amazonaws.com"),
        ("https://docs.aws.amazon.com/AmazonS3/latest/userguide/transfer-acceleration.html",),
        addressing="virtual",
        notes="use_accelerate=True without an endpoint_url is the same.",
    ),
    Store(
        "aws",
        "Amazon S3",
        (
            "s3.{region}.amazonaws.com",
            "s3.amazonaws.com",
            "s3.dualstack.{region}.amazonaws.com",
            "s3-fips.{region}.amazonaws.com",
            "s3-fips.dualstack.{region}.amazonaws.com",
            "s3-{region}.amazonaws.com",
            "s3.{region}.amazonaws.com.cn",
            "s3.dualstack.{region}.amazonaws.com.cn",
        ),
        (
            "https://docs.aws.amazon.com/general/latest/gr/s3.html",
            "https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html",
        ),
        names_location=True,
        tells_region=True,
        notes="Without endpoint_url buckets are part of the host name; with one they are in the path, as in boto3.",
    ),
    Store(
        "alibaba",
        "Alibaba Cloud OSS",
        ("s3.oss-{region}.aliyuncs.com", "oss-{region}.aliyuncs.com"),
        (
            "https://www.alibabacloud.com/help/en/oss/user-guide/oss-domain-names",
            f"{_RCLONE}/Alibaba.yaml",
        ),
        addressing="virtual",
        notes="Every request about a bucket has to name it in the host. The ETags of large objects are not made as AWS's.",
    ),
    Store(
        "b2",
        "Backblaze B2, its S3 side",
        ("s3.{region}.backblazeb2.com",),
        (
            "https://www.backblaze.com/docs/cloud-storage-s3-compatible-api",
            "https://github.com/stonith404/pingvin-share/issues/798",
            "https://github.com/vatesfr/xen-orchestra/issues/8358",
        ),
        checksums=False,
        verifies=False,
        notes="Refuses x-amz-checksum-… and x-amz-checksum-mode by name. https only. The master application key does not "
        "work here. B2Session speaks the native API, which checks SHA-1.",
    ),
    Store(
        "ceph",
        "Ceph RADOS Gateway",
        (),
        ("https://docs.ceph.com/en/latest/radosgw/s3/", f"{_RCLONE}/Ceph.yaml"),
    ),
    Store(
        "digitalocean",
        "DigitalOcean Spaces",
        ("{region}.digitaloceanspaces.com",),
        (
            "https://docs.digitalocean.com/products/spaces/reference/aws-sdks/",
            f"{_RCLONE}/DigitalOcean.yaml",
        ),
    ),
    Store(
        "exoscale",
        "Exoscale Simple Object Storage",
        ("sos-{region}.exo.io",),
        ("https://community.exoscale.com/product/storage/object-storage/",),
    ),
    Store(
        "garage",
        "Garage",
        (),
        (
            "https://garagehq.deuxfleurs.fr/documentation/connect/",
            "https://garagehq.deuxfleurs.fr/documentation/reference-manual/s3-compatibility/",
        ),
        region="garage",
        notes="The region has to be the one of its configuration, usually garage; another one is refused with the right "
        "one in the answer, which the session then takes. No versions, no ACLs.",
    ),
    Store(
        "gcs",
        "Google Cloud Storage, its XML API",
        ("storage.googleapis.com",),
        (
            "https://docs.cloud.google.com/storage/docs/interoperability",
            "https://docs.cloud.google.com/storage/docs/aws-simple-migration",
            f"{_RCLONE}/GCS.yaml",
        ),
        region="auto",
        copies_parts=False,
        notes="Needs HMAC keys. Changes accept-encoding on the way, which is never signed here. Copies of any size go in "
        "one request. Object Lock has Google's own header names.",
    ),
    Store(
        "hetzner",
        "Hetzner Object Storage",
        ("{region}.your-objectstorage.com",),
        ("https://docs.hetzner.com/storage/object-storage/supported-actions/", f"{_RCLONE}/Hetzner.yaml"),
        notes="No GetObjectAttributes, no bucket tagging; CopyObject may fail for reasons of its own.",
    ),
    Store(
        "huawei",
        "Huawei Cloud OBS",
        ("obs.{region}.myhuaweicloud.com",),
        (f"{_RCLONE}/HuaweiOBS.yaml",),
        addressing="virtual",
    ),
    Store(
        "ibm",
        "IBM Cloud Object Storage",
        ("s3.{region}.cloud-object-storage.appdomain.cloud",),
        (
            f"{_RCLONE}/IBMCOS.yaml",
            "https://cloud.ibm.com/docs/cloud-object-storage?topic=cloud-object-storage-endpoints",
        ),
        notes="Needs HMAC keys.",
    ),
    Store(
        "idrive",
        "IDrive e2",
        ("s3.{region}.idrivee2.com",),
        (f"{_RCLONE}/IDrive.yaml", "https://www.idrive.com/s3-storage-e2/"),
        notes="Older accounts have hosts of their own (xxxx.la12.idrivee2-5.com): give them as endpoint_url.",
    ),
    Store(
        "ionos",
        "IONOS Object Storage",
        ("s3.{region}.ionoscloud.com",),
        (f"{_RCLONE}/IONOS.yaml",),
    ),
    Store(
        "linode",
        "Akamai (Linode) Object Storage",
        ("{region}.linodeobjects.com",),
        ("https://techdocs.akamai.com/cloud-computing/docs/object-storage", f"{_RCLONE}/Linode.yaml"),
    ),
    Store(
        "minio",
        "MinIO",
        ("play.min.io",),
        ("https://github.com/minio/minio", f"{_RCLONE}/Minio.yaml"),
        region="us-east-1",
        notes="store='minio' alone is the public playground; a server of one's own is given as endpoint_url.",
    ),
    Store(
        "oracle",
        "Oracle Cloud Object Storage",
        ("{namespace}.compat.objectstorage.{region}.oraclecloud.com",),
        ("https://docs.oracle.com/en-us/iaas/Content/Object/Tasks/s3compatibleapi.htm",),
        notes="Needs a Customer Secret Key.",
    ),
    Store(
        "outscale",
        "3DS Outscale Object Storage",
        ("oos.{region}.outscale.com",),
        (f"{_RCLONE}/Outscale.yaml",),
    ),
    Store(
        "ovh",
        "OVHcloud Object Storage",
        ("s3.{region}.io.cloud.ovh.net", "s3.{region}.cloud.ovh.net", "s3.{region}.perf.cloud.ovh.net"),
        (f"{_RCLONE}/OVHcloud.yaml",),
    ),
    Store(
        "r2",
        "Cloudflare R2",
        ("{account}.r2.cloudflarestorage.com",),
        (
            "https://developers.cloudflare.com/r2/api/s3/api/",
            "https://developers.cloudflare.com/r2/objects/multipart-objects/",
            f"{_RCLONE}/Cloudflare.yaml",
        ),
        region="auto",
        equal_parts=True,
        notes="No tags, no ACLs, no versions. The ETags of large objects are not made as AWS's; their full checksum is "
        "CRC64NVME only.",
    ),
    Store(
        "scaleway",
        "Scaleway Object Storage",
        ("s3.{region}.scw.cloud",),
        ("https://www.scaleway.com/en/docs/object-storage/api-cli/multipart-uploads/", f"{_RCLONE}/Scaleway.yaml"),
        max_parts=1000,
    ),
    Store(
        "seaweedfs",
        "SeaweedFS",
        (),
        ("https://github.com/seaweedfs/seaweedfs/wiki/Amazon-S3-API", f"{_RCLONE}/SeaweedFS.yaml"),
        notes="The ETags of large objects are not made as AWS's.",
    ),
    Store(
        "storj",
        "Storj, its hosted gateway",
        ("gateway.storjshare.io",),
        ("https://github.com/storj/roadmap/issues/40", f"{_RCLONE}/Storj.yaml"),
        copies_parts=False,
        notes="Copies of any size go in one request. Parts of 64 MiB and more cost least: TransferConfig(part_size=64 * MIB).",
    ),
    Store(
        "tencent",
        "Tencent Cloud COS",
        ("cos.{region}.myqcloud.com",),
        (f"{_RCLONE}/TencentCOS.yaml",),
        addressing="virtual",
        notes="The ETags of large objects are not made as AWS's.",
    ),
    Store(
        "tigris",
        "Tigris",
        ("t3.storage.dev", "fly.storage.tigris.dev"),
        ("https://www.tigrisdata.com/docs/sdks/s3/", "https://tigrisdata.com/llms.txt"),
        region="auto",
        addressing="virtual",
    ),
    Store(
        "vultr",
        "Vultr Object Storage",
        ("{region}.vultrobjects.com",),
        ("https://docs.vultr.com/products/cloud-storage/object-storage",),
    ),
    Store(
        "wasabi",
        "Wasabi",
        ("s3.{region}.wasabisys.com", "s3.wasabisys.com"),
        ("https://docs.wasabi.com/docs/rest-api-introduction", f"{_RCLONE}/Wasabi.yaml"),
        region="us-east-1",
    ),
    Store(
        "yandex",
        "Yandex Object Storage",
        ("storage.yandexcloud.net",),
        ("https://yandex.cloud/en/docs/storage/s3/",),
        region="ru-central1",
    ),
)


DEFAULT = next(store for store in STORES if store.name == "aws")


def named(name: object) -> Store:
    """The row of this name; TypeError or ValueError names the argument."""
    if not isinstance(name, str):
        raise TypeError(f"store must be a str, not {type(name).__name__}")
    for store in STORES:
        if store.name == name:
            return store
    raise ValueError(f"store is unknown: {name[:80]!r}; known are {', '.join(store.name for store in STORES)}")


def at_host(host: str) -> Store | None:
    """The row of the store at this host, without a port; None where nothing is known of it."""
    for store in STORES:
        if any(_match(template, host) for template in store.endpoints):
            return store
    return None


def _names(template: str) -> list[str]:
    return re.findall(r"\{([a-z]+)\}", template)


def _match(template: str, host: str) -> re.Match[str] | None:
    # Most rows are ruled out by how the host ends.
    if not host.endswith(template.rpartition("}")[2]):
        return None
    pattern = re.sub(
        r"\\\{([a-z]+)\\\}",
        lambda name: f"(?P<{name[1]}>[a-z0-9-]+{'' if name[1] == 'region' else '(?:[.][a-z0-9-]+)*'})",
        re.escape(template),
    )
    return re.fullmatch(pattern, host)


def describe() -> str:
    """docs/providers.md."""
    lines = [_ABOUT]
    for store in STORES:
        lines.append(f"## {store.title}\n")
        lines.append(f"`S3Session(store={store.name!r}, …)`" + (", or by its host:" if store.endpoints else "") + "\n")
        lines.extend(f"- `https://{template}`" for template in store.endpoints)
        if store.endpoints:
            lines.append("")
        lines.append("| what | here |")
        lines.append("|---|---|")
        lines.extend(f"| {what} | {here} |" for what, here in _facts(store))
        lines.append("")
        if store.notes:
            lines.append(f"{store.notes}\n")
        lines.append("Sources: " + ", ".join(f"<{source}>" for source in store.sources) + "\n")
    return "\n".join(lines)


def _facts(store: Store) -> list[tuple[str, str]]:
    """The rows of a store's table; what is as at AWS is left out."""
    if any("{region}" in template for template in store.endpoints):
        region = "read from the host" + (f", else `{store.region}`" if store.region else "")
    else:
        region = f"`{store.region or 'us-east-1'}`"
    virtual = "part of the host name" if store.addressing == "virtual" else "in the path"
    facts = [("region, where none is given", region), ("buckets, with `addressing_style='auto'`", virtual)]
    if not store.checksums:
        facts.append(("checksum of uploads, with `checksum='auto'`", "none; the signature covers the body"))
    if not store.verifies:
        facts.append(("stored checksum of downloads", "not asked for"))
    if store.max_parts != 10_000:
        facts.append(("parts of an upload", f"at most {store.max_parts:,}"))
    if store.equal_parts:
        facts.append(("sizes of parts", "all the same but the last"))
    if store.names_location:
        facts.append(("create_bucket", "names the region, unless it is us-east-1"))
    if not store.copies_parts:
        facts.append(("large copies", "in one request, for want of UploadPartCopy"))
    return facts


_ABOUT = """# Stores that speak S3

What the client knows of each store, and acts upon. The page is made from the rows of `s3func/s3/stores.py`:
`python -m s3func.s3.stores > docs/providers.md`; a test compares the two.

A store without a row is taken to be one that follows S3: addressed by path, with a CRC32 of every upload (a store that
refuses that by name is asked again without it, once), region `us-east-1`. `S3Session(store="minio",
endpoint_url="https://…")` names the row for an endpoint that cannot be known by its host.
A setting that is given goes before the row: `region=`, `addressing_style=`, `checksum=`, `transfer=`.
"""

if __name__ == "__main__":
    sys.stdout.write(describe())
