"""What the settings say of stores that speak S3."""

from msgspec import field

from funnel.core.secret import Secret
from funnel.core.value import Value


class BucketKeys(Value, kw_only=True, rename="pascal"):
    """A bucket with credentials of its own."""

    name: str = ""
    """That of the bucket."""
    key: str = ""
    secret: Secret = Secret()
    secret_file: str = ""
    """A file with the secret, instead of the secret itself."""
    region: str = ""
    anonymous: bool = False
    """Ask without credentials."""


class AWSConfig(Value, kw_only=True, rename="pascal"):
    """Where Amazon S3 is, and who comes."""

    endpoint: str = ""
    """https://host of another store, or of a private way to Amazon's; empty: that of the region."""
    region: str = ""
    """Of buckets whose region cannot be found; empty: us-east-1."""
    max_retries: int = 10
    """Times that a failure which may pass is tried again."""
    key: str = ""
    """Empty: the credentials of the environment, of a profile, or of this machine."""
    secret: Secret = Secret()
    secret_file: str = ""
    """A file with the secret, instead of the secret itself."""
    profile: str = ""
    """A profile in ~/.aws/credentials and ~/.aws/config; empty: AWS_PROFILE, or else default."""
    disable_auto_credential_load: bool = False
    """Use no credentials but those that are written here."""


class Encryption(Value, kw_only=True, rename="pascal"):
    """By the store, of what is written; one of the two."""

    customer_key_file: str = ""
    """A file with a key of 32 bytes, which the store needs for each request and does not keep."""
    kms_key: str = field(default="", name="KMSKey")
    """The key in Amazon's key management by which objects are encrypted."""


class AmazonSettings(Value, kw_only=True, rename="pascal"):
    """Amazon S3: s3://bucket/key."""

    disabled: bool = False
    aws_config: AWSConfig = field(default=AWSConfig(), name="AWSConfig")
    sse: Encryption = field(default=Encryption(), name="SSE")
    path_style: bool = False
    """Write the bucket in the path instead of the host; so it is where Endpoint is not Amazon's."""
    requester_pays: bool = False
    """Pay for what is read from buckets that ask for it."""
    anonymous: bool = False
    """Ask without credentials."""
    buckets: tuple[BucketKeys, ...] = ()
    """Buckets with credentials of their own."""


class Entry(Value, kw_only=True, rename="pascal"):
    """A store that speaks S3: s3://endpoint/bucket/key, or s3://bucket/key."""

    disabled: bool = False
    endpoint: str = ""
    """http://host:port or https://host; without a scheme, http is spoken."""
    key: str = ""
    """Empty, with Anonymous: ask without credentials."""
    secret: Secret = Secret()
    secret_file: str = ""
    """A file with the secret, instead of the secret itself."""
    region: str = ""
    """Empty: us-east-1, which is what most such stores go by."""
    bucket: str = ""
    """Is looked for here where a URL names no endpoint; empty: so is any."""
    kms_key_id: str = field(default="", name="KmsKeyID")
    """The key in the store's key management by which objects are encrypted."""
    account_id: str = field(default="", name="AccountID")
    """Not used."""
    path_style: bool = True
    """Write the bucket in the path instead of the host."""
    requester_pays: bool = False
    """Pay for what is read from buckets that ask for it."""
    anonymous: bool = False
    """Ask without credentials."""
    ca_file: str = field(default="", name="CAFile")
    """Who issues the store's certificate, in PEM; empty: those that every program believes."""
    buckets: tuple[BucketKeys, ...] = ()
    """Buckets with credentials of their own; they are looked for here, too."""


class GenericSettings(Value, rename={"entries": ""}):
    """Stores that speak S3."""

    entries: tuple[Entry, ...] = ()
