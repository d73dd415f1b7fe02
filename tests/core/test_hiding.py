import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from funnel.core.error import Invalid
from funnel.core.hiding import hidden, secrets_of, whole, without
from funnel.core.task import Executor, Input, Output, Spec
from funnel.core.url import USUAL_PORTS, objection, password_in, redacted, secrets_in
from funnel.core.validate import check

STEP = Executor(image="alpine", command=("true",))
WORD = st.text("abcXYZ019-_.~%+ü", min_size=1, max_size=8)
SCHEME = st.sampled_from(["ftp", "FTPS", "sftp", "http", "https"])
URLS = st.one_of(
    st.text(max_size=30),
    st.builds("{}://{}:{}@{}/{}".format, st.sampled_from(["ftp", "sftp", "https"]), *[WORD] * 4),
    st.builds("{}://{}:{}/{}@{}".format, st.sampled_from(["ftp", "s3", "https"]), *[WORD] * 4),
    st.builds("https://{}/{}?a={}&Signature={}&sig={}".format, *[WORD] * 5),
    st.builds(
        "https://{}/{}{}{}token={}".format, WORD, WORD, *[st.sampled_from("?#/&;!")] * 2, WORD
    ),
    st.builds("{}://{}:{}/{}@{}/{}".format, SCHEME, WORD, st.integers(0, 99_999), *[WORD] * 3),
    st.builds("/{}?{}@{}".format, WORD, WORD, WORD),
)


@given(st.lists(URLS, max_size=4), st.lists(URLS, max_size=4))
def test_what_is_hidden_is_all_that_is_missing(inputs: list[str], outputs: list[str]) -> None:
    spec = Spec(
        executors=(STEP,),
        inputs=tuple(Input(path="/i", url=url) for url in inputs),
        outputs=tuple(Output(path="/o", url=url) for url in outputs),
    )
    secrets = secrets_of(spec)
    shown = without(spec, secrets)
    assert whole(shown, secrets) == spec
    assert not secrets_of(shown)
    assert (shown is spec) or secrets


@given(st.sampled_from(["ftp", "FTPS", "sftp", "http", "https", "s3"]), WORD)
def test_no_password_is_shown(scheme: str, host: str) -> None:
    url = f"{scheme}://ann:swordfish:and@more@{host}/a@b:c?x=1"
    assert "swordfish" not in hidden(url)
    assert "more" not in hidden(url)
    assert hidden(url).endswith(f"@{host}/a@b:c?x=1")


@given(st.sampled_from(["ftp", "sftp", "https", "s3"]), st.text("abc/?@:[].%", max_size=9), WORD)
def test_a_password_that_would_end_the_host_is_not_shown(scheme: str, more: str, name: str) -> None:
    url = f"{scheme}://ann:sword/fish{more}@host/{name}"
    spec = Spec(executors=(STEP,), inputs=(Input(path="/i", url=url),))
    assert hidden(url) == redacted(url) == f"{scheme}://ann@host/{name}"
    assert password_in(url) == f"sword/fish{more}"
    with pytest.raises(Invalid) as refused:
        check(spec)
    assert "fish" not in str(refused)


@given(SCHEME, st.from_regex("[0-9]{1,5}", fullmatch=True), st.text("abc/@:%"), WORD)
def test_a_password_that_may_be_a_port_is_not_shown(
    scheme: str, digits: str, more: str, name: str
) -> None:
    assume(digits not in USUAL_PORTS)
    url = f"{scheme}://ann:{digits}/fish{more}@host/{name}"
    assert hidden(url) == redacted(url) == f"{scheme}://ann@host/{name}"
    assert f"{digits}/fish{more}" in secrets_in(url)


@given(
    SCHEME,
    st.sampled_from(["a.example.org", "10.0.0.1", "localhost", "[::1]"]),
    st.integers(0, 65_535),
    st.lists(WORD | st.sampled_from(["a@b", "x:y@z", "@", ":"]), min_size=1),
)
def test_the_port_of_what_is_a_host_is_shown(
    scheme: str, host: str, port: int, names: list[str]
) -> None:
    url = f"{scheme}://{host}:{port}/{'/'.join(names)}"
    assert hidden(url) == redacted(url) == url


@pytest.mark.parametrize(
    "url", ["http://store:3000/a?mail=b@c", "s3://store:3000/a/b@c", "sftp://store:3000/a/b"]
)
def test_a_port_that_can_be_nothing_else_is_shown(url: str) -> None:
    assert hidden(url) == url
    assert redacted(url) == url.partition("?")[0] + "?…" * ("?" in url)


def test_what_may_be_a_port_is_none_to_refuse_a_task_for() -> None:
    check(Spec(executors=(STEP,), inputs=(Input(path="/i", url="ftp://store:2121/a/b@c"),)))
    assert objection("ftp://ann:65536/fish@host/x")


@given(
    st.sampled_from(["ftp", "http", "https", "s3", "drs", "file"]),
    st.sampled_from(["host", "host:80", "[::1]", "[::1]:8080", "ann@host:2222", "", "a%3Ab"]),
    st.lists(WORD | st.sampled_from(["a@b", "x:y@z", "@", ":"]), min_size=1),
)
def test_an_at_sign_in_a_name_stays(scheme: str, host: str, names: list[str]) -> None:
    url = f"{scheme}://{host}/{'/'.join(names)}"
    assert hidden(url) == redacted(url) == url
    assert not password_in(url)
    assert not objection(url)


@pytest.mark.parametrize("url", ["swift://ab:c/d@e", "/data/ftp://ann:b/c@d", "file:///a:b/c@d"])
def test_a_name_is_no_password(url: str) -> None:
    check(Spec(executors=(STEP,), inputs=(Input(path="/i", url=url),)))


def test_signatures_are_hidden_and_other_questions_are_not() -> None:
    for name in ("X-Amz-Signature", "X%2dAmz-Security-Token", "sig"):
        given = f"https://host/a?x=1&X-Amz-Credential=c&{name}=s&sig&z=2"
        assert hidden(given) == given.replace("=s", "=***")
    assert hidden("https://host?sig=s") == "https://host?sig=***"
    assert hidden("s3://bucket/what?sig=s") == "s3://bucket/what?sig=s"


@pytest.mark.parametrize("name", ["access_token", "token", "Sig", "/token", "a=b&id=1&%74oken"])
@pytest.mark.parametrize("before", ["#", "?x=1#", "#/in?", "#x;"])
def test_secrets_in_fragments_are_hidden(before: str, name: str) -> None:
    url = f"https://host/a{before}{name}=swordfish&part=2"
    assert hidden(url) == f"https://host/a{before}{name}=***&part=2"
    assert "swordfish" not in redacted(url)
    assert "swordfish" in secrets_in(url)


@pytest.mark.parametrize(
    "url",
    ["https://host/a#part-2", "https://host/a?x=1#L=5", "s3://bucket/a#token=b", "/a#token=b"],
)
def test_what_is_no_secret_after_a_hash_stays(url: str) -> None:
    assert hidden(url) == url


@pytest.mark.parametrize("value", ["a#b", "a;b", "a?b", "a=b"])
def test_no_end_of_a_secret_is_shown(value: str) -> None:
    assert hidden(f"https://host/a?sig={value}&x=1") == "https://host/a?sig=***&x=1"


@given(URLS)
def test_logs_show_no_more_than_readers_see(url: str) -> None:
    assert redacted(hidden(url)) == redacted(url)
