"""Pictures in files: formats, reproducible bytes, and complete files or none."""

import base64
import struct
import subprocess
import sys

import numpy as np
import pytest
from test_plots import of

from pyinit import plots
from pyinit.diagnostics import diagnose

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def diagnoses():
    return {scheme: diagnose(layers=4, width=60, scheme=scheme, batch=100) for scheme in ("small", "big", "xavier")}


def test_png(diagnoses, tmp_path):
    file = tmp_path / "picture.PNG"
    plots.save(plots.spread(of("activations", diagnoses)), file)
    head = file.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == (1200, 1172)
    pixels = matplotlib.image.imread(file)
    assert pixels.shape == (1172, 1200, 4)
    for colour in (0x0072B2, 0xD55E00, 0x009E73):
        wanted = np.array([colour >> 16, colour >> 8 & 255, colour & 255]) / 255
        assert (np.abs(pixels[..., :3] - wanted).max(axis=2) < 0.01).sum() > 500, hex(colour)


@pytest.mark.parametrize(("suffix", "begin"), [(".svg", b"<?xml"), (".pdf", b"%PDF-")])
def test_vector_files(diagnoses, tmp_path, suffix, begin):
    file = tmp_path / f"picture{suffix}"
    plots.save(plots.histograms(of("activations", diagnoses)), file)
    assert file.read_bytes().startswith(begin)


@pytest.mark.parametrize("suffix", plots.FORMATS)
def test_the_same_picture_gives_the_same_bytes_whatever_the_settings(diagnoses, tmp_path, suffix):
    one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    activations = of("activations", diagnoses)
    plots.save(plots.spread(activations), one)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "svg.hashsalt": None}):
        plots.save(plots.spread(activations), two)
        assert matplotlib.rcParams["font.size"] == 30
    assert one.read_bytes() == two.read_bytes()


def test_an_unknown_format_leaves_nothing(tmp_path):
    figure = plots.learning_curves({"a": [1.0]})
    for name in ("picture.jpeg", "picture"):
        with pytest.raises(ValueError, match=rf"\.png, \.svg or \.pdf; got '.*{name}'"):
            plots.save(figure, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    figure, file = plots.learning_curves({"a": [1.0]}), tmp_path / "picture.png"
    file.write_bytes(b"before")

    def fail(stream, **keywords):
        stream.write(b"half")
        raise OSError("full")

    with monkeypatch.context() as patch:
        patch.setattr(figure, "savefig", fail)
        with pytest.raises(OSError, match="full"):
            plots.save(figure, file)
    assert file.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [file]
    plots.save(figure, file)
    assert file.read_bytes()[:4] == b"\x89PNG"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        plots.save(plots.learning_curves({"a": [1.0]}), tmp_path / "nowhere" / "picture.png")


def test_a_data_uri_holds_the_file(diagnoses, tmp_path):
    figure, file = plots.gradient_flow(of("gradients", diagnoses)), tmp_path / "picture.svg"
    plots.save(figure, file)
    begin, _, content = plots.data_uri(figure).partition(",")
    assert begin == "data:image/svg+xml;base64"
    assert base64.b64decode(content, validate=True) == file.read_bytes()


def test_pyplot_is_not_touched():
    code = (
        "import sys, pyinit.cli; assert 'matplotlib' not in sys.modules\n"
        "from pyinit import plots; plots.data_uri(plots.learning_curves({'a': [1.0]}))\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_without_matplotlib():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from pyinit import plots\n"
        "try: plots.learning_curves({'a': [1.0]})\n"
        "except ImportError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "pictures need matplotlib: pip install matplotlib\n"
