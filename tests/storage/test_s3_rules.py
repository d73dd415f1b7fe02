"""What S3 adapters decide without asking anybody."""

from datetime import UTC, datetime

import pytest

from funnel.core.error import Denied, FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.core.secret import Secret
from funnel.storage.patience import Changed
from funnel.storage.s3.address import Address, address, candidates, checked, named, region_of
from funnel.storage.s3.answers import page_of
from funnel.storage.s3.failure import Refusal, answer_of, failure
from funnel.storage.s3.plugin import takes_amazon, takes_generic
from funnel.storage.s3.settings import AmazonSettings, BucketKeys, Entry
from funnel.storage.s3.sign import Keys, Request, signed
from funnel.storage.s3.store import checksums

HOSTS = ["store:9000", "minio.example.org", "gate.example.org/s3"]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("s3://data/key", ("", "data", "key")),
        ("s3://data/a/b/", ("", "data", "a/b/")),
        ("s3://data", ("", "data", "")),
        ("s3://data/with space/100%25?x#y", ("", "data", "with space/100%25?x#y")),
        ("s3://data//a//b", ("", "data", "/a//b")),
        ("s3://store:9000/data/key", ("store:9000", "data", "key")),
        ("s3://STORE:9000/data/key", ("store:9000", "data", "key")),
        ("s3://minio.example.org/data/k", ("minio.example.org", "data", "k")),
        ("s3://minio.example.org.evil/data/k", ("", "minio.example.org.evil", "data/k")),
        ("s3://gate.example.org/s3/data/k", ("gate.example.org/s3", "data", "k")),
        ("s3://s3.amazonaws.com/data/k", ("s3.amazonaws.com", "data", "k")),
        ("s3://s3.eu-west-1.amazonaws.com/data/k", ("s3.eu-west-1.amazonaws.com", "data", "k")),
        ("s3://s3-us-west-2.amazonaws.com/data/k", ("s3-us-west-2.amazonaws.com", "data", "k")),
        ("s3://s3.cn-north-1.amazonaws.com.cn/d/k", ("s3.cn-north-1.amazonaws.com.cn", "d", "k")),
        ("s3://s3.evil.com/data/k", ("", "s3.evil.com", "data/k")),
        ("s3://s3.amazonaws.com.evil.com/d/k", ("", "s3.amazonaws.com.evil.com", "d/k")),
    ],
)
def test_urls_are_read(url: str, found: tuple[str, str, str]) -> None:
    assert address(url, HOSTS) == Address(*found)


@pytest.mark.parametrize(
    "url",
    [
        *("s3://", "s3:///key", "s3://store:9000", "s3://store:9000/", "s3://other:9000/data/k"),
        *(
            "s3://data/../other/k",
            "s3://data/a/./b",
            "s3://data/..",
            "s3://da ta/k",
            "s3://d@t/k",
            "s3://../k",
            "s3://a..b/k",
            "s3://./k",
        ),
    ],
)
def test_what_names_no_bucket_or_climbs_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        checked(address(url, HOSTS), url)


@pytest.mark.parametrize("url", ["s3://data", "s3://data/", "s3://data/a/", f"s3://d/{'n' * 1025}"])
def test_what_names_no_file_cannot_be_stored(url: str) -> None:
    with pytest.raises(Invalid):
        named(url, checked(address(url, HOSTS), url))


def test_regions_are_in_the_names_of_hosts() -> None:
    hosts = {
        "s3.amazonaws.com": "",
        "s3.eu-central-1.amazonaws.com": "eu-central-1",
        "s3.dualstack.us-gov-west-1.amazonaws.com": "us-gov-west-1",
        "s3-ap-southeast-2.amazonaws.com": "ap-southeast-2",
    }
    assert {host: region_of(host) for host in hosts} == hosts


ONE = Entry(endpoint="http://one:9000")
TWO = Entry(endpoint="https://two")
NAMED = Entry(endpoint="three:1", bucket="mine", buckets=(BucketKeys(name="ours"),))


@pytest.mark.parametrize(
    ("url", "entries", "hosts"),
    [
        ("s3://data/k", [ONE], ["http://one:9000"]),
        ("s3://data/k", [ONE, TWO], ["http://one:9000", "https://two"]),
        ("s3://data/k", [ONE, NAMED], ["http://one:9000"]),
        ("s3://mine/k", [ONE, NAMED], ["three:1"]),
        ("s3://ours/k", [ONE, TWO, NAMED], ["three:1"]),
        ("s3://data/k", [NAMED], []),
        ("s3://three:1/data/k", [ONE, NAMED], ["three:1"]),
        ("s3://two/data/k", [ONE, TWO], ["https://two"]),
        ("s3://s3.amazonaws.com/data/k", [ONE], []),
        ("gs://data/k", [ONE], []),
    ],
)
def test_the_settings_say_where_a_bucket_is(
    url: str, entries: list[Entry], hosts: list[str]
) -> None:
    found = candidates(address(url, ["one:9000", "two", "three:1"]), entries)
    assert takes_generic(url, entries) is bool(hosts)
    if url.startswith("s3://"):
        assert [one.endpoint for one in found] == hosts


def test_amazon_takes_what_is_left_unless_it_is_switched_off() -> None:
    assert takes_amazon("s3://data/k", AmazonSettings())
    assert not takes_amazon("gs://data/k", AmazonSettings())
    assert not takes_amazon("s3://data/k", AmazonSettings(disabled=True))


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        (
            {"lifecycle": ""},
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            {"prefix": "J", "max-keys": "2"},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_the_signature_is_that_of_amazons_examples(query: dict[str, str], signature: str) -> None:
    request = Request(
        method="GET", host="examplebucket.s3.amazonaws.com", path="/", query=query, headers={}
    )
    keys = Keys("AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
    headers = signed(request, keys, "us-east-1", datetime(2013, 5, 24, tzinfo=UTC))
    assert headers["authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (Refusal(404, "NoSuchKey", "no key"), NotFound, "NoSuchKey: no key"),
        (Refusal(404, "NoSuchBucket", "no bucket"), NotFound, "NoSuchBucket"),
        (Refusal(404), NotFound, "answers 404"),
        (Refusal(403, "AccessDenied", "no"), Denied, "check what these credentials may do"),
        (Refusal(403, "SignatureDoesNotMatch"), Denied, "check the secret"),
        (Refusal(403, "InvalidAccessKeyId"), Denied, "check the key"),
        (Refusal(403, "RequestTimeTooSkewed"), Denied, "clock"),
        (Refusal(400, "AuthorizationHeaderMalformed"), Denied, "region"),
        (Refusal(400, "ExpiredToken"), Unavailable, "expired"),
        (Refusal(400, "RequestTimeout"), Unavailable, "RequestTimeout"),
        (Refusal(301, "PermanentRedirect"), Invalid, "elsewhere"),
        (Refusal(416, "InvalidRange"), Changed, ""),
        (Refusal(429), Unavailable, ""),
        (Refusal(500, "InternalError"), Unavailable, ""),
        (Refusal(503, "SlowDown"), Unavailable, ""),
        (Refusal(507, "XMinioStorageFull"), NoSpace, ""),
        (Refusal(400, "EntityTooLarge"), Invalid, ""),
    ],
)
def test_answers_become_errors(answer: Refusal, kind: type[FunnelError], words: str) -> None:
    error = failure("s3://a/b: reading failed", answer, "AmazonS3", anonymous=False)
    assert isinstance(error, kind)
    assert str(error).startswith("s3://a/b: reading failed: ")
    assert words in str(error)


def test_a_store_may_ask_for_a_pause() -> None:
    answer = answer_of(503, "<Error><Code>SlowDown</Code></Error>", 7.0)
    assert failure("x", answer, "AmazonS3", anonymous=False).retry_after == 7.0


def test_who_has_no_credentials_is_told_so() -> None:
    assert "no credentials" in str(failure("x", Refusal(403), "AmazonS3", anonymous=True))


def test_a_page_of_a_list_is_read() -> None:
    page = page_of(
        b"<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
        b"<IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>"
        b"<Contents><Key>a&lt;b</Key><Size>3</Size><Owner><ID>x</ID></Owner></Contents>"
        b"<Contents><Key>\xc3\xbc</Key><Size>0</Size></Contents></ListBucketResult>",
        "Contents",
        "s3://a/b",
    )
    assert page.said["IsTruncated"] == "true"
    assert page.said["NextContinuationToken"] == "t&1"
    assert [(one["Key"], one["Size"]) for one in page.things] == [("a<b", "3"), ("ü", "0")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><br></html>",
        b"<html><p>Log in</p></html>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>",
    ],
)
def test_what_is_no_list_is_not_taken_for_one(content: bytes) -> None:
    with pytest.raises(Unavailable, match=r"^s3://a/b: .* no list"):
        page_of(content, "Contents", "s3://a/b")


MD5 = "b1946ac92492d2347c6235b4d2611184"
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SENT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"ETag": f'"{MD5}"'}, {"md5": MD5}),
        ({"ETag": f'"{MD5}"', "Content-Range": "bytes 1-2/3"}, {"md5": MD5}),
        ({"ETag": f'"{MD5}-3"'}, {}),
        ({"ETag": '"opaque"'}, {}),
        ({"ETag": f'"{MD5}"', "x-amz-server-side-encryption": "AES256"}, {"md5": MD5}),
        ({"ETag": f'"{MD5}"', "x-amz-server-side-encryption": "aws:kms"}, {}),
        ({"ETag": f'"{MD5}"', "x-amz-server-side-encryption": "aws:kms:dsse"}, {}),
        ({"ETag": f'"{MD5}"', "x-amz-server-side-encryption-customer-algorithm": "AES256"}, {}),
        ({"x-amz-checksum-sha256": SENT}, {"sha256": SHA256}),
        ({"x-amz-checksum-sha256": SENT, "x-amz-checksum-type": "FULL_OBJECT"}, {"sha256": SHA256}),
        ({"x-amz-checksum-sha256": SENT, "x-amz-checksum-type": "COMPOSITE"}, {}),
        ({"x-amz-checksum-sha256": SENT, "Content-Range": "bytes 1-2/3"}, {}),
        ({"x-amz-checksum-sha256": f"{SENT}-3"}, {}),
        ({"x-amz-checksum-crc32": "AAAAAA=="}, {}),
    ],
)
def test_only_checksums_of_the_whole_object_count(
    headers: dict[str, str], found: dict[str, str]
) -> None:
    assert checksums(headers) == found
