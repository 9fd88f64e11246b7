"""`s3func config`, as scripts call it and as people answer it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import tomlkit
from click.shell_completion import ShellComplete
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3func import testing
from s3func.cli import main
from s3func.cli.backends_file import change_tables
from s3func.cli.config import save_changed, save_new
from s3func.cli.obscure import is_obscured, obscure_text, reveal
from s3func.cli.stores import BACKENDS, backend_type, complete
from s3func.server.backends.settings import Setting, check_settings
from tests.cli.shell import COMMAND

Text = subprocess.CompletedProcess[str]
SECRET = "the-secret"


class Config:
    """Command lines with a folder of configuration of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "config" / "s3func" / "backends.toml"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DRIME"))}
        self.environment["XDG_CONFIG_HOME"] = str(folder / "config")

    def __call__(self, *arguments: str, stdin: str = "") -> Text:
        """Run it; whatever is done, nobody sees the secret."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            env=self.environment,
            check=False,
        )
        assert SECRET not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def out(self, *arguments: str, stdin: str = "") -> str:
        """What is on stdout of a command that succeeds."""
        done = self(*arguments, stdin=stdin)
        assert 0 == done.returncode, done
        return done.stdout

    def fails(self, code: int, *arguments: str, stdin: str = "") -> str:
        """The one line on stderr."""
        done = self(*arguments, stdin=stdin)
        assert (code, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n")), done
        return done.stderr

    def write(self, text: str) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(text)

    @property
    def tables(self) -> Mapping[str, Any]:
        return tomllib.loads(self.file.read_text())


@pytest.fixture
def shell(tmp_path: Path) -> Config:
    """Command lines with an empty configuration."""
    return Config(tmp_path)


class TestScripts:
    def test_life_of_a_backend(self, shell: Config, tmp_path: Path) -> None:
        """Added, listed, shown, tested, changed, served under its name, and removed; its objects stay."""
        store = str(tmp_path / "store")
        assert "" == shell.out("config", "list")
        assert f"{shell.file}\n" == shell.out("config", "path")
        assert "" == shell.out("config", "add", "mine", "--type", "local", "--set", f"path={store}")
        assert {"mine": {"type": "local", "path": store}} == shell.tables
        assert ["mine", "local", store] == shell.out("config", "list").split()
        assert f'[mine]\ntype = "local"\npath = "{store}"\n' == shell.out("config", "show", "mine")
        assert f"mine: local in {store}, which s3func serve will make\n" == shell.out("config", "test", "mine")
        assert not Path(store).exists()
        with testing.server(path=store) as server:
            server.session("bucket")
        assert f"mine: local in {store}: 1 bucket\n" == shell.out("config", "test", "mine")
        shell.out("config", "edit", "mine", "--set", "durability=os")
        assert {"type": "local", "path": store, "durability": "os"} == shell.tables["mine"]
        shell.out("config", "edit", "mine", "--unset", "durability")
        assert {"type": "local", "path": store} == shell.tables["mine"]
        shell.out("config", "remove", "mine")
        assert {} == shell.tables
        assert Path(store).exists()

    def test_json(self, shell: Config) -> None:
        """For programs there is a line per backend, with what is wrong with it, and one object per backend."""
        shell.write('[good]\ntype = "memory"\n[bad]\ntype = "local"\npaht = "the-secret"\n[odd]\ntype = "locale"\n')
        rows = [json.loads(line) for line in shell.out("config", "list", "--json").splitlines()]
        assert [("bad", None), ("good", "memory, and end with the server"), ("odd", None)] == [
            (row["name"], row["place"]) for row in rows
        ]
        assert ["there is no setting 'paht'; did you mean path?", None] == [row["problem"] for row in rows][:2]
        assert {"name": "good", "type": "memory"} == json.loads(shell.out("config", "show", "good", "--json"))
        done = shell("config", "show", "bad", "--json")
        assert (1, {"name": "bad", "type": "local", "paht": "********"}) == (done.returncode, json.loads(done.stdout))
        assert "cannot be used" in done.stderr

    def test_secrets(self, shell: Config) -> None:
        """A secret comes from stdin, is written obscured, and is shown by nothing; one that is obscured stays it."""
        add = ("config", "add", "archive", "--type", "session", "--set", "access_key_id=AKID")
        shell.out(*add, "--secret", "secret_access_key", stdin=f"{SECRET}\n")
        assert SECRET not in shell.file.read_text()
        written = shell.tables["archive"]["secret_access_key"]
        assert (True, SECRET) == (is_obscured(written), reveal(written))
        assert '"********"' in shell.out("config", "show", "archive")
        shell.out(
            *("config", "edit", "archive", "--secret", "session_token", "--secret", "secret_access_key"),
            stdin=f"{obscure_text('token')}\nanother\n",
        )
        table = shell.tables["archive"]
        assert ("token", "another") == (reveal(table["session_token"]), reveal(table["secret_access_key"]))

    def test_the_file_is_its_owners(self, shell: Config) -> None:
        """Whoever could read it before, after a change only its owner can; so can the folder, if it was made."""
        shell.out("config", "add", "one", "--type", "memory")
        assert (0o600, 0o700) == (mode_of(shell.file), mode_of(shell.file.parent))
        shell.file.chmod(0o644)
        shell.out("config", "add", "two", "--type", "memory")
        assert 0o600 == mode_of(shell.file)
        assert ["backends.toml"] == [path.name for path in shell.file.parent.iterdir()]

    def test_what_stands_in_the_file_stays(self, shell: Config) -> None:
        """Comments, order, spaces and what is no backend survive every change of another table, and of the same one."""
        before = (
            '# mine\ntitle = "x"  # a title\n\n[one]  # first\n# where\ntype = "local"\npath   =  \'/a\' # here\n'
            '\n[two]\ntype = "memory"\n\n[[list]]\na = 1\n'
        )
        shell.write(before)
        shell.out("config", "edit", "one", "--set", "durability=os")
        shell.out("config", "add", "three", "--type", "memory")
        text = shell.file.read_text()
        assert [line for line in before.splitlines() if line] == [
            line for line in text.splitlines() if line in before.splitlines() and line
        ][: len([line for line in before.splitlines() if line])]
        assert 'durability = "os"' in text
        shell.out("config", "remove", "three")
        shell.out("config", "edit", "one", "--unset", "durability")
        assert before.split() == shell.file.read_text().split()

    def test_a_link_stays_one(self, shell: Config, tmp_path: Path) -> None:
        """A file that lives in a repository of dotfiles is changed there."""
        shell.write("")
        kept = tmp_path / "dotfiles.toml"
        shell.file.rename(kept)
        shell.file.symlink_to(kept)
        shell.out("config", "add", "one", "--type", "memory")
        assert shell.file.is_symlink()
        assert {"one": {"type": "memory"}} == tomllib.loads(kept.read_text())

    def test_types(self, shell: Config) -> None:
        """Every setting of every type is told, with whether it is secret."""
        rows = [json.loads(line) for line in shell.out("config", "types", "--json").splitlines()]
        assert {"drime", "local", "session"} == {row["backend"] for row in rows}
        assert {"api_key", "secret_access_key", "session_token"} == {row["name"] for row in rows if row["secret"]}
        assert "required" in shell.out("config", "types", "local")
        assert "did you mean local?" in shell.fails(2, "config", "types", "locl")

    @pytest.mark.parametrize(
        ("code", "arguments", "said"),
        [
            (2, ("add", "a b", "--type", "memory"), "a name has letters"),
            (2, ("add", "x", "--type", "sesion"), "there is no backend 'sesion'; did you mean session?"),
            (2, ("add", "x", "--type", "local", "--set", "pth=/a"), "did you mean path?"),
            (2, ("add", "x", "--type", "local", "--set", "path"), "is not NAME=VALUE"),
            (2, ("add", "x", "--type", "session", "--set", f"secret_access_key={SECRET}"), "others can see a command"),
            (2, ("add", "x", "--type", "session", "--secret", "secret_access_key"), "nothing came from stdin"),
            (2, ("add", "x", "--set", "path=/a"), "--set and --secret go with --type"),
            (1, ("add", "x", "--type", "local"), "[x] was not saved: path is missing"),
            (2, ("add", "x", "--type", "drime", "--set", "workspace_id=one"), "workspace_id must be a whole number"),
            (1, ("add", "one", "--type", "memory"), "there is a backend [one] already"),
            (1, ("show", "oen"), "did you mean one?"),
            (1, ("show", "nothing"), "there are bad, one"),
            (1, ("remove", "oen"), "did you mean one?"),
            (2, ("edit", "one", "--unset", "durability"), "[one] has no such setting"),
            (2, ("edit", "one", "--unset", "type"), "[one] has no such setting"),
            (1, ("edit", "one", "--unset", "path"), "[one] was not saved: path is missing"),
            (2, ("edit", "one", "--set", "durability=never"), "durability must be disk or os"),
            (1, ("edit", "bad", "--set", "path=/b"), "--unset"),
            (1, ("test", "bad"), "[bad]: there is no setting 'token'"),
        ],
    )
    def test_what_is_wrong_changes_nothing(
        self, shell: Config, code: int, arguments: tuple[str, ...], said: str
    ) -> None:
        """One line that says what to do, the file as it was, and no secret."""
        before = f'[one]\ntype = "local"\npath = "/a"\n[bad]\ntype = "local"\npath = "/b"\ntoken = "{SECRET}"\n'
        shell.write(before)
        assert said in shell.fails(code, "config", *arguments)
        assert before == shell.file.read_text()

    def test_an_unknown_setting_can_be_struck_out(self, shell: Config) -> None:
        """A table that cannot be used is mended by its own command."""
        shell.write(f'[bad]\ntype = "memory"\ntoken = "{SECRET}"\n')
        shell.out("config", "edit", "bad", "--unset", "token")
        assert {"bad": {"type": "memory"}} == shell.tables

    @pytest.mark.parametrize("command", ["list", "add", "edit", "remove", "show", "test"])
    def test_a_broken_file_is_left_alone(self, shell: Config, command: str) -> None:
        """Every command says in which line it is broken, and none writes to it."""
        broken = f'[one]\ntype = "memory"\ntoken = "{SECRET}" "\n'
        shell.write(broken)
        more = {"list": (), "add": ("new", "--type", "memory")}.get(command, ("one",))
        assert "is not valid TOML, line 3" in shell.fails(1, "config", command, *more)
        assert broken == shell.file.read_text()

    def test_a_folder_that_cannot_be_written(self, shell: Config, tmp_path: Path) -> None:
        """What the disk says is one line."""
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "s3func").write_text("a file where a folder should be")
        said = shell.fails(1, "config", "add", "x", "--type", "memory")
        assert "backends.toml: Not a directory" in said

    def test_a_store_that_does_not_answer(self, shell: Config) -> None:
        """`test` says that nobody answers, and not the keys that were tried."""
        shell.write(
            '[gone]\ntype = "session"\nendpoint_url = "http://127.0.0.1:1"\n'
            f'access_key_id = "AKID"\nsecret_access_key = "{SECRET}"\n'
        )
        shell.environment["AWS_MAX_ATTEMPTS"] = "1"
        assert "does not answer" in shell.fails(1, "config", "test", "gone")

    def test_a_missing_package(self, shell: Config, tmp_path: Path) -> None:
        """A backend whose package is not there is saved and shown, and only opening it says what to install."""
        (tmp_path / "mystore.py").write_text(
            "class Store:\n    SETTINGS = ()\n"
            "    @classmethod\n    def from_settings(cls, settings):\n        import no_such_package\n"
            "    @classmethod\n    def place_of(cls, settings):\n        return 'nowhere'\n"
        )
        shell.environment["PYTHONPATH"] = str(tmp_path)
        shell.out("config", "add", "x", "--type", "mystore:Store")
        assert "x                     mystore:Store  nowhere\n" == shell.out("config", "list")
        said = shell.fails(1, "config", "test", "x")
        assert "needs no_such_package" in said

    def test_plain_secrets_that_others_can_read(self, shell: Config) -> None:
        """`serve` warns about them, and of what it would do it says no more."""
        shell.write(f'[x]\ntype = "session"\nsecret_access_key = "{SECRET}"\n')
        done = shell("serve", "--listen", "127.0.0.1:0", "--backend-config", "x")
        assert 1 == done.returncode
        assert "half a key pair: access_key_id is missing" in done.stderr
        assert ("others can read the secrets in" in done.stderr) == (sys.platform != "win32")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestQuestions:
    def test_the_menu(self, shell: Config, tmp_path: Path) -> None:
        """Everything that the commands do, by answers; questions go to stderr, and a mistake is asked again."""
        store = str(tmp_path / "store")
        answers = [
            *("9", "list", "add", "mine", "nothing", "local", "", store, "never", ""),
            *("add", "mine", "add", "archive", "session", "", "", "", "", "", "AKID", SECRET, "", "", "maybe", "yes"),
            *("list", "3", "archive", "edit", "mine", "", "os", "test", "mine"),
            *("remove", "archive", "n", "remove", "archive", "y", "quit"),
        ]
        done = shell("config", stdin="\n".join([*answers, ""]))
        assert 0 == done.returncode, done.stderr
        assert {"mine": {"type": "local", "path": store, "durability": "os"}} == shell.tables
        assert 'access_key_id = "AKID"\nsecret_access_key = "********"\nanonymous = true\n' in done.stdout
        assert f"mine: local in {store}, which s3func serve will make\n" == done.stdout.splitlines(keepends=True)[-1]
        for said in (
            *("There is none yet", "a number or a word of these", "path is needed", "durability must be disk or os"),
            *("there is a backend [mine] already", "anonymous must be true or false"),
        ):
            assert said in done.stderr, said
        assert "?" not in done.stdout

    def test_add_and_edit_ask_for_what_they_were_not_told(self, shell: Config) -> None:
        """An empty answer keeps what was, a minus sign forgets it, and a secret is kept without being shown."""
        shell.out(
            "config",
            "add",
            "x",
            stdin=f"session\n\n\neu-1\n\nb\nAKID\n{SECRET}\n\n\n\n",
        )
        table = shell.tables["x"]
        assert {"type": "session", "region": "eu-1", "bucket": "b", "access_key_id": "AKID"} == {
            name: value for name, value in table.items() if name != "secret_access_key"
        }
        done = shell("config", "edit", "x", stdin="\n\n-\n\nc\n\n\n\n\n\n")
        assert 0 == done.returncode, done.stderr
        assert {key: value for key, value in table.items() if key != "region"} | {"bucket": "c"} == shell.tables["x"]

    def test_a_damaged_secret_is_said(self, shell: Config) -> None:
        """A text that was cut cannot be kept; it is replaced by its option."""
        shell.write('[x]\ntype = "session"\naccess_key_id = "AKID"\nsecret_access_key = "obscured:AAAA"\n')
        assert "secret_access_key: an obscured text is damaged" in shell.fails(1, "config", "edit", "x")
        shell.out("config", "edit", "x", "--secret", "secret_access_key", stdin=f"{SECRET}\n")
        assert SECRET == reveal(shell.tables["x"]["secret_access_key"])

    def test_the_end_of_the_answers(self, shell: Config) -> None:
        """Who goes away in the middle has saved nothing."""
        done = shell("config", "add", "x", stdin="local\n")
        assert 130 == done.returncode
        assert not shell.file.exists()


@pytest.mark.parametrize(
    ("given", "are_read"),
    [({}, True), ({"access_key_id": "mine"}, True), ({"profile": "p"}, False), ({"anonymous": True}, False)],
)
def test_whose_keys_are_meant(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], are_read: bool) -> None:
    """Keys in the environment sign unless it was said who does; a key that was given goes before them."""
    monkeypatch.setenv("S3FUNC_UPSTREAM_ACCESS_KEY_ID", "theirs")
    monkeypatch.setenv("S3FUNC_UPSTREAM_SECRET_ACCESS_KEY", SECRET)
    settings = complete("session", given).settings
    assert (SECRET if are_read else None) == settings.get("secret_access_key")
    assert given.get("access_key_id", "theirs" if are_read else None) == settings.get("access_key_id")


def test_names_and_types_are_completed(shell: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The TAB key knows the names in the file and the types there are, and says nothing where the file is broken."""
    monkeypatch.setenv("XDG_CONFIG_HOME", shell.environment["XDG_CONFIG_HOME"])

    def completed(*words: str, last: str) -> list[str]:
        found = ShellComplete(main.s3func, {}, "s3func", "_X").get_completions([*words], last)
        return [item.value for item in found]

    assert [] == completed("config", "show", last="")
    shell.write('[mine]\ntype = "memory"\n[my-other]\ntype = "memory"\n[archive]\ntype = "memory"\n')
    for words in (("config", "show"), ("config", "edit"), ("config", "remove"), ("serve", "--backend-config")):
        assert ["mine", "my-other"] == completed(*words, last="m")
    assert [] == completed("config", "add", last="m")
    for line in ("config add new --type", "config types", "serve --backend"):
        assert ["session"] == completed(*line.split(), last="se"), line
    shell.write("broken = ")
    assert [] == completed("config", "show", last="")


def test_somebody_else_was_faster(shell: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that is made while another one is made is not lost: the later one is told to try again."""
    monkeypatch.setenv("XDG_CONFIG_HOME", shell.environment["XDG_CONFIG_HOME"])
    shell.write('[one]\ntype = "memory"\n')

    def change(document: Any) -> None:
        del document["one"]
        shell.file.write_text('[two]\ntype = "memory"\n')

    with pytest.raises(click.ClickException, match="try again"):
        change_tables(change)
    assert {"two": {"type": "memory"}} == shell.tables
    assert ["backends.toml"] == [path.name for path in shell.file.parent.iterdir()]


@pytest.mark.parametrize("name", BACKENDS)
def test_every_type_says_what_it_can_be_told(name: str) -> None:
    """The class of each row has settings with unique names and a sentence each, and can be asked without being opened."""
    kind = backend_type(name)
    names = [setting.name for setting in kind.SETTINGS]
    assert len(set(names)) == len(names)
    values: dict[type, Any] = {str: "x", int: 1, bool: True}
    given = {each.name: each.choices[0] if each.choices else values[each.type] for each in kind.SETTINGS}
    assert given == check_settings(kind, given)
    assert all(each.about and not each.about.endswith(".") for each in kind.SETTINGS)
    secrets = {each.name: "s3cret" for each in kind.SETTINGS if each.secret}
    assert "s3cret" not in kind.place_of(given | secrets)


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    [
        (Setting("a", "", type=int), "-3", -3),
        (Setting("a", "", type=bool), "YES", True),
        (Setting("a", "", type=bool), "0", False),
        (Setting("a", ""), " as it is ", " as it is "),
    ],
)
def test_texts_become_values(setting: Setting, text: str, value: object) -> None:
    """An option and a variable are texts, and become what the file would have."""
    assert value == setting.parse(text)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        (Setting("a", "", type=int), True),
        (Setting("a", "", type=bool), 1),
        (Setting("a", ""), 1),
        (Setting("a", ""), ""),
        (Setting("a", "", choices=("x", "y")), "z"),
    ],
)
def test_other_values_are_refused(setting: Setting, value: object) -> None:
    """The setting is named; a truth is no number."""
    with pytest.raises(ValueError, match=r"^a "):
        setting.check(value)


_values = st.one_of(
    st.text(max_size=20), st.integers(-(2**40), 2**40), st.booleans(), st.lists(st.integers(-5, 5), max_size=3)
)
_tables = st.dictionaries(st.text(min_size=1, max_size=10), _values, max_size=4)


@given(
    before=st.dictionaries(st.text(min_size=1, max_size=10), st.one_of(_values, _tables), max_size=5), text=st.text()
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_else_is_in_the_file_stays(
    shell: Config, monkeypatch: pytest.MonkeyPatch, before: dict[str, Any], text: str
) -> None:
    """Adding, changing and removing a table leaves every other value of any valid file what it was."""
    monkeypatch.setenv("XDG_CONFIG_HOME", shell.environment["XDG_CONFIG_HOME"])
    before.pop("mine", None)
    shell.write(tomlkit.dumps(before))
    save_new("mine", "local", {"path": f"x{text}"})
    assert before | {"mine": {"type": "local", "path": f"x{text}"}} == shell.tables
    save_changed("mine", {"durability": "os"})
    assert before | {"mine": {"type": "local", "path": f"x{text}", "durability": "os"}} == shell.tables
    change_tables(lambda document: document.__delitem__("mine"))
    assert before == shell.tables
