"""`pyinit --print-completion`: with its output, a shell completes commands, options and files."""

import shutil
import subprocess
import sys

import pytest

from pyinit import cli


def printed(shell, capsys):
    pytest.importorskip("shtab")
    with pytest.raises(SystemExit) as stop:
        cli.main(["--print-completion", shell])
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_completion_names_every_command(shell, capsys):
    text = printed(shell, capsys)
    for command in cli.COMMANDS:
        assert command.__name__.rpartition(".")[2] in text
    assert shell == "tcsh" or "--trust-pickle" in text  # for tcsh, shtab leaves out the options of commands


@pytest.mark.parametrize(
    ("words", "completed"),
    [(("sch",), "schemes"), (("verify", "--trust"), "--trust-pickle"), (("fill", "weig"), "weights.npy")],
)
def test_bash_completes_a_line(words, completed, tmp_path, capsys):
    if not (bash := shutil.which("bash")):
        pytest.skip("no bash")
    (tmp_path / "completion").write_text(printed("bash", capsys))
    (tmp_path / "weights.npy").touch()
    line = ("pyinit", *words)
    script = f"source ./completion; COMP_WORDS=({' '.join(line)}); COMP_CWORD={len(words)}; "
    script += "_shtab_pyinit; echo ${COMPREPLY[@]}"
    found = subprocess.run([bash, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert completed in found.stdout.split()


def test_without_shtab_there_is_a_sentence(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["--print-completion", "bash"]) == 1
    assert capsys.readouterr() == ("", "pyinit: --print-completion needs shtab: pip install shtab\n")


def test_another_shell_exits_with_2(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--print-completion", "fish"])
    assert stop.value.code == 2
    assert "fish" in capsys.readouterr().err
