"""Profiles, as Amazon's own programs have them in ~/.aws."""

import asyncio
import shlex
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

from funnel.core.error import Denied, Invalid, Unavailable
from funnel.core.secret import Secret
from funnel.ports import Clock
from funnel.program import printed
from funnel.storage.s3.credentials import EARLY, Source
from funnel.storage.s3.issuers import Issuers, offered
from funnel.storage.s3.login import Logins, log_in
from funnel.storage.s3.sign import Keys

FILES_LAST: Final = EARLY + timedelta(minutes=5)
"""What has no end of its own is read anew five minutes later: other programs may change it."""
PATIENCE: Final = 60.0
"""Seconds for a program of a profile."""
ROLE: Final = "role_arn"

Section: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Files:
    profiles: Mapping[str, Section]
    sessions: Mapping[str, Section]


class Profiles:
    """`others` are sources that a profile may name: Environment and so on."""

    def __init__(
        self,
        environ: Mapping[str, str],
        issuers: Issuers,
        now: Clock,
        others: Mapping[str, Source],
    ) -> None:
        self._environ = environ
        self._issuers = issuers
        self._now = now
        self._others = others
        self._logins = Logins(_home(environ) / "sso" / "cache", issuers, now)

    async def keys(self, name: str) -> Keys | None:
        """None where there are none of it. Raises `Invalid`, `Denied` and `Unavailable`."""
        files = await asyncio.to_thread(_read, self._environ)
        return await self._of(files, name, frozenset())

    async def _of(self, files: _Files, name: str, above: frozenset[str]) -> Keys | None:
        """The profiles `above` take on a role as this one, which does so no more if it is there."""
        one = files.profiles.get(name, {})
        if ROLE in one and name not in above:
            return await self._role(files, name, above | {name})
        key, secret = one.get("aws_access_key_id"), one.get("aws_secret_access_key")
        if key and secret:
            token = Secret(one.get("aws_session_token", ""))
            return Keys(key, Secret(secret), token, self._now() + FILES_LAST)
        if "sso_account_id" in one or "sso_session" in one or "sso_start_url" in one:
            return await self._person(files, name)
        if "credential_process" in one:
            return await self._program(name, one["credential_process"])
        return None

    async def _role(self, files: _Files, name: str, above: frozenset[str]) -> Keys:
        one = files.profiles[name]
        region = one.get("region") or self._get("AWS_REGION") or self._get("AWS_DEFAULT_REGION")
        form = {
            "RoleArn": one[ROLE],
            "RoleSessionName": one.get("role_session_name") or "funnel",
            **({"DurationSeconds": one["duration_seconds"]} if "duration_seconds" in one else {}),
        }
        if file := one.get("web_identity_token_file"):
            return await self.web_identity(file, form, region)
        if "mfa_serial" in one:
            raise Invalid(f"the profile {name!r} asks for a code (mfa_serial), which nobody types")
        if "external_id" in one:
            form["ExternalId"] = one["external_id"]
        keys = await self._source(files, name, above)
        return await self._issuers.role({"Action": "AssumeRole", **form}, region, keys)

    async def web_identity(self, file: str, form: Section, region: str) -> Keys:
        """For a token in a file, as Kubernetes gives it."""
        try:
            token = await asyncio.to_thread(Path(file).read_text, "utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"{file}, with the token of a role, cannot be read: {error}") from error
        action = {"Action": "AssumeRoleWithWebIdentity", "WebIdentityToken": token.strip()}
        return await self._issuers.role({**action, **form}, region)

    async def _source(self, files: _Files, name: str, above: frozenset[str]) -> Keys:
        """Who takes on the role of this profile."""
        one = files.profiles[name]
        profile, other = one.get("source_profile", ""), one.get("credential_source", "")
        if bool(profile) == bool(other):
            raise Invalid(
                f"the profile {name!r} has a role_arn: give it source_profile or credential_source,"
                " one of the two"
            )
        if other and other not in self._others:
            raise Invalid(
                f"the profile {name!r}: credential_source is one of {', '.join(self._others)},"
                f" not {other}"
            )
        keys = await (self._of(files, profile, above) if profile else self._others[other]())
        if not keys:
            raise Invalid(
                f"the profile {name!r} takes on a role as {profile or other}, which has no keys"
            )
        return keys

    async def _person(self, files: _Files, name: str) -> Keys:
        """Of one who has logged in by a browser."""
        one = files.profiles[name]
        session = one.get("sso_session", "")
        place = files.sessions.get(session, {}) if session else one
        start, region = place.get("sso_start_url", ""), place.get("sso_region", "")
        account, role = one.get("sso_account_id", ""), one.get("sso_role_name", "")
        if not (start and region and account and role):
            raise Invalid(
                f"the profile {name!r} lacks some of sso_start_url, sso_region, sso_account_id and"
                " sso_role_name"
            )
        token = await self._logins.token(session or start, region, name)
        try:
            return await self._issuers.person(token, account, role, region)
        except Denied as error:
            raise Denied(f"{error}; {log_in(name)}, or check what its role is") from error

    async def _program(self, name: str, command: str) -> Keys:
        """What it prints may be a secret, and is shown nowhere."""
        what = f"credential_process of the profile {name!r}"
        try:
            async with asyncio.timeout(PATIENCE):
                said = await printed(shlex.split(command))
        except TimeoutError:
            raise Unavailable(f"{what} has not ended within {PATIENCE:g} s") from None
        except ChildProcessError:
            raise Denied(f"{what} failed; run it by hand to see why") from None
        except (OSError, ValueError) as error:
            # A command may have a secret in it, too.
            raise Invalid(f"{what} cannot be run: {type(error).__name__}") from None
        keys = offered(said, f"the {what}")
        return keys if keys.until else Keys(keys.key, keys.secret, keys.token, self._later())

    def _later(self) -> datetime:
        return self._now() + FILES_LAST

    def _get(self, name: str) -> str:
        return self._environ.get(name, "")


def _read(environ: Mapping[str, str]) -> _Files:
    """What both files say of a profile counts; of the same thing, what credentials says. Blocks."""
    profiles, sessions = dict[str, dict[str, str]](), dict[str, dict[str, str]]()
    config = _parsed(environ.get("AWS_CONFIG_FILE") or str(_home(environ) / "config"))
    for title in config.sections():
        kind, _, name = title.partition(" ")
        name, said = name.strip().strip("'\""), dict(config.items(title))
        if kind == "sso-session":
            sessions[name] = said
        elif kind == "profile" or title == "default":
            profiles.setdefault(name or title, {}).update(said)
    given = environ.get("AWS_SHARED_CREDENTIALS_FILE")
    keys = _parsed(given or str(_home(environ) / "credentials"))
    for title in keys.sections():
        profiles.setdefault(title, {}).update(keys.items(title))
    return _Files(profiles, sessions)


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or "~", ".aws").expanduser()


def _parsed(file: str) -> ConfigParser:
    path = Path(file).expanduser()
    parser = ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(path.read_text(encoding="utf-8"), str(path))
    except OSError:
        return ConfigParser()
    except (ConfigError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} is not a file of AWS profiles") from error
    return parser
