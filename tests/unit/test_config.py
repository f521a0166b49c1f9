"""Settings: order of precedence, and one clear line for every mistake in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fwsync.config import Settings, load, parse_mode
from fwsync.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "fwsync.toml"
    path.write_text(text, encoding="utf-8")
    return path


def settings(folder: Path, flags: dict[str, object] | None = None, **options: object) -> Settings:
    env = {"HOME": str(folder / "home"), **options.pop("env", {})}  # type: ignore[dict-item]
    return load(flags, env=env, folder=folder, **options)  # type: ignore[arg-type]


def test_defaults_need_no_file(tmp_path: Path) -> None:
    made = settings(tmp_path)
    assert made == Settings()
    assert made.importing.timezone == ""


def test_each_source_wins_over_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, '[import]\ntimezone = "Europe/Zurich"\n[profiles.lab.import]\ntimezone = "Asia/Tokyo"\n')
    assert settings(tmp_path).importing.timezone == "Europe/Zurich"
    assert settings(tmp_path, profile="lab").importing.timezone == "Asia/Tokyo"
    env = {"FWSYNC_TIMEZONE": "Africa/Cairo"}
    assert settings(tmp_path, profile="lab", env=env).importing.timezone == "Africa/Cairo"
    env["FWSYNC_IMPORT_TIMEZONE"] = "America/Lima"
    assert settings(tmp_path, env=env).importing.timezone == "America/Lima"
    flags = {"import.timezone": "Asia/Kabul", "import.session_label": None}
    assert settings(tmp_path, flags, env=env).importing.timezone == "Asia/Kabul"


def test_files_are_found_in_order(tmp_path: Path) -> None:
    home = tmp_path / "home/.config/fwsync"
    home.mkdir(parents=True)
    write(home, '[site]\nproject = "xdg/p"\n')
    assert settings(tmp_path).site.project == "xdg/p"
    write(tmp_path, '[site]\nproject = "here/p"\n')
    assert settings(tmp_path).site.project == "here/p"
    other = tmp_path / "other.toml"
    other.write_text('[site]\nproject = "env/p"\n')
    assert settings(tmp_path, env={"FWSYNC_CONFIG": str(other)}).site.project == "env/p"
    named = tmp_path / "named.toml"
    named.write_text('[site]\nproject = "flag/p"\n')
    assert settings(tmp_path, env={"FWSYNC_CONFIG": str(other)}, config=str(named)).site.project == "flag/p"


def test_lists_come_from_variables_too(tmp_path: Path) -> None:
    made = settings(tmp_path, env={"FWSYNC_MIRROR_MEMBERS": "*/stats/aseg.stats, *.html"})
    assert made.mirror.members == ("*/stats/aseg.stats", "*.html")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('[import]\ntimezne = "UTC"\n', ["line 2", "import.timezne", "did you mean timezone"]),
        ('\n[improt]\ntimezone = "UTC"\n', ["line 2", "[improt]", "did you mean import"]),
        ('[network]\ncalls = "many"\n', ["line 2", "network.calls", "Expected `int`"]),
        ('[mirror]\nplatform = "amiga"\n', ["line 2", "mirror.platform"]),
        ("[import\n", ["not valid TOML", "line 1"]),
        ("import = 3\n", ["line 1", "must be a table"]),
    ],
)
def test_mistakes_are_one_line_with_the_place(tmp_path: Path, text: str, parts: list[str]) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path)
    for part in ["fwsync.toml", *parts]:
        assert part in caught.value.line
    assert caught.value.exit_code == 2


def test_a_named_file_or_profile_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: no such file \(named by --config\)"):
        settings(tmp_path, config="gone.toml")
    with pytest.raises(ConfigError, match="no configuration file"):
        settings(tmp_path, profile="lab")
    write(tmp_path, "[profiles.lab.site]\n")
    with pytest.raises(ConfigError, match="did you mean lab"):
        settings(tmp_path, profile="lap")


def test_a_wrong_variable_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"FWSYNC_NETWORK_CALLS: network\.calls"):
        settings(tmp_path, env={"FWSYNC_NETWORK_CALLS": "lots"})
    with pytest.raises(ConfigError, match=r"FWSYNC_NETWORK_COLLS: unknown setting .*did you mean calls"):
        settings(tmp_path, env={"FWSYNC_NETWORK_COLLS": "3"})


def test_a_key_in_a_file_is_not_shown(tmp_path: Path) -> None:
    write(tmp_path, '[site]\napi_key = "host:SuperSecretValue1234"\n')
    assert "SuperSecret" not in repr(settings(tmp_path))


def test_a_named_selection_lies_between_the_file_and_the_flags(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[mirror]\ninclude = ["a"]\ntype = "nifti, dicom"\n'
        '[selections.t1]\ninclude = ["b"]\nwhere = ["session.age>=20y"]\n[selections.other]\ngear = "mriqc"\n',
    )
    plain = settings(tmp_path)
    assert (plain.mirror.include, plain.mirror.type) == (("a",), ("nifti", "dicom"))
    assert set(plain.selections) == {"t1", "other"}
    chosen = settings(tmp_path, {"mirror.select": "t1"}).mirror
    assert (chosen.include, chosen.where, chosen.type) == (("b",), ("session.age>=20y",), ("nifti", "dicom"))
    assert settings(tmp_path, {"mirror.select": "t1", "mirror.include": ("c",)}).mirror.include == ("c",)
    assert settings(tmp_path, env={"FWSYNC_MIRROR_SELECT": "other"}).mirror.gear == "mriqc"


@pytest.mark.parametrize(
    ("text", "chosen", "part"),
    [
        ("[selections.t1]\ninclud = []\n", None, "line 2: unknown setting selections.t1.includ; did you mean include"),
        ("[selections.t1]\nrun = 'newest'\n", None, "line 2: [selections.t1]: mirror.run"),
        ("[selections.t1]\nto = 'x'\n", None, "unknown setting selections.t1.to"),
        ("[selections]\nt1 = 3\n", None, "write tables [selections.NAME]"),
        ("", "t1", "there is no selection 't1'; add a table [selections.t1]"),
        ("[selections.first]\n", "frist", "did you mean first?"),
    ],
)
def test_mistakes_in_selections_are_one_line(tmp_path: Path, text: str, chosen: str | None, part: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, {"mirror.select": chosen})
    assert part in caught.value.line


def test_modes_are_octal() -> None:
    assert (parse_mode(""), parse_mode("640"), parse_mode("0600")) == (None, 0o640, 0o600)
    for text in ("rw", "888", "6400", "040"):
        with pytest.raises(ConfigError, match="octal"):
            parse_mode(text)
