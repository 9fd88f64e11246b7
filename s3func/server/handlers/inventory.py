"""Inventories of a bucket: any number of configurations by their ids. They are kept; no report is ever written.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
"""

from __future__ import annotations

from s3func.errors import service_error
from s3func.message import Response
from s3func.server.call import Call
from s3func.server.payload import Payload
from s3func.server.powers import editable
from s3func.wire.s3xml_error import element, frame
from s3func.wire.s3xml_stored import parse_configuration_request, render_configuration

INVENTORIES_MAX = 1000
PAGE_MAX = 100
_ROOT = "InventoryConfiguration"
_NAME = "inventory:"
"""In front of its id, what a configuration is called among the documents of its bucket."""
_DOCUMENT_BYTES_MAX = 64 * 1024
_XML = {"content-type": "application/xml"}


def get_bucket_inventory_configuration(call: Call) -> Response:
    """One configuration, or without an id a page of them.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketInventoryConfiguration.html
    """
    identifier = call.query.get("id")
    if identifier is None:
        return _list(call)
    document = call.access.info.documents.get(_NAME + identifier)
    if document is None:
        raise service_error("NoSuchConfiguration", "The specified configuration does not exist.", status=404)
    return Response(200, dict(_XML), document.encode())


def put_bucket_inventory_configuration(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketInventoryConfiguration.html."""
    name = _demanded(call)
    value = parse_configuration_request(_ROOT, Payload(call).read(_DOCUMENT_BYTES_MAX))
    if _NAME + value["Id"] != name:
        raise service_error("InvalidConfigurationId", "The Id of the configuration is not that of the request.")
    kept = _kept(call)
    if name not in kept and len(kept) >= INVENTORIES_MAX:
        raise service_error("TooManyConfigurations", f"A bucket has at most {INVENTORIES_MAX} inventories.")
    editable(call.backend).edit_bucket(call.bucket, {name: render_configuration(_ROOT, value).decode()})
    return Response(200, {})


def delete_bucket_inventory_configuration(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketInventoryConfiguration.html."""
    name = _demanded(call)
    if name in call.access.info.documents:
        editable(call.backend).edit_bucket(call.bucket, {name: None})
    return Response(204, {})


def _list(call: Call) -> Response:
    documents = call.access.info.documents
    names = sorted(_kept(call))
    after = call.query.get("continuation-token", "")
    names = [name for name in names if not after or name > _NAME + after]
    page, rest = names[:PAGE_MAX], names[PAGE_MAX:]
    content = element("IsTruncated", "true" if rest else "false")
    if after:
        content += element("ContinuationToken", after)
    if rest:
        content += element("NextContinuationToken", page[-1].removeprefix(_NAME))
    for name in page:
        document = documents[name]
        content += document[document.index(f"<{_ROOT}") :]
    return Response(200, dict(_XML), frame("ListInventoryConfigurationsResult", content))


def _kept(call: Call) -> list[str]:
    return [name for name in call.access.info.documents if name.startswith(_NAME)]


def _demanded(call: Call) -> str:
    identifier = call.query.get("id", "")
    if not identifier:
        raise service_error("InvalidConfigurationId", "The request names no configuration: ?inventory&id=…")
    return _NAME + identifier
