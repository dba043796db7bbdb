"""The instructions that benchmarks count, and the limits of kernels derived from them."""

import re
import sys

import instructions
import kernel_limits
import pytest
import table

from pyinit import bench, isa

pytestmark = pytest.mark.usefixtures("no_threads_left")


@pytest.fixture(scope="module", params=["best tier", pytest.param("all tiers", marks=pytest.mark.slow)])
def counted(request):
    tiers, core = (), None
    if request.param == "best tier":
        tiers, core = isa.available()[:1], request.getfixturevalue("core_objects")
    try:
        return instructions.count(tiers=tiers, core=core)["fills"]
    except RuntimeError as error:
        if re.search(r"not allowed|not possible|Linux only|no compiler", str(error)):
            pytest.skip(str(error))
        raise


def test_instructions_are_counted_of_every_fill(counted):
    fills = {f"{generator} {what}" for generator in bench.GENERATORS for what, *_ in bench.FILLS}
    tiers = {entry["tier"] for entry in counted}
    assert {(e["name"], e["tier"]) for e in counted} == {(name, tier) for name in fills for tier in tiers}
    assert all(e["instructions"] == e["per_sample"] * e["samples"] > 0 for e in counted)


def test_as_many_aes_instructions_as_ars_has_rounds(counted):
    blocks_at_once = {"avx512": 4, "avx2": 1}
    found = [e for e in counted if e["kinds"] and e["tier"] in blocks_at_once]
    for entry in found:
        generator, _, dtype = entry["name"].split()
        blocks = entry["samples"] * (2 if dtype == "float64" else 1) / 4
        rounds = {"ars5": 5, "ars7": 7}.get(generator, 0)
        assert entry["kinds"].get("aes", 0) == blocks * rounds / blocks_at_once[entry["tier"]]
        assert sum(entry["kinds"].values()) == entry["instructions"]
    if not found:
        pytest.skip("kinds are told on x86-64 with objdump, AES instructions taken from AVX2 on")


def test_what_prevents_counting_is_said(monkeypatch):
    with pytest.raises(RuntimeError, match="the compiler nowhere-cc was not found"):
        instructions.count("nowhere-cc")
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        instructions.count(f"{sys.executable} -c 1/0")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(RuntimeError, match="Linux"):
        instructions.count()


@pytest.fixture(scope="module")
def limits():
    try:
        return kernel_limits.counted(["philox box_muller f32"])
    except RuntimeError as error:
        pytest.skip(str(error))


def test_limits_of_a_kernel_are_counted_from_its_code(limits):
    (kernel,) = limits["kernels"]
    assert kernel["samples_in_a_turn"] == 16
    operations = kernel["operations"]
    # Counted by hand from the headers, for four blocks; most are the fmas of the coefficients.
    assert operations["STG"] == 4
    assert operations["MUFU"] == 4 * 2
    assert operations["FFMA"] == 4 * 2 * (1 + 7 + 1 + 2 + 4 + 4 + 2)
    assert sum(operations.values()) == 16 * kernel["instructions_per_sample"]
    assert sum(kernel["kinds_per_sample"].values()) == pytest.approx(kernel["instructions_per_sample"])
    assert 0 < kernel["registers"] <= 64
    assert kernel["bytes_per_second"] == pytest.approx(4 * min(kernel["samples_per_second"].values()), rel=1e-3)
    assert "| philox box_muller f32 | " in table.tables(limits)


def test_the_shortest_way_through_a_loop_is_counted():
    text = """
.text.kernel:
        /*0000*/                   MOV R1, R2 ;
.L_x_1:
        /*0010*/                   FFMA R1, R2, R3, R4 ;
        /*0020*/              @!P0 BRA `(.L_x_2) ;
        /*0030*/                   CALL.REL.NOINC `(slow) ;
        /*0040*/                   BRA `(.L_x_3) ;
.L_x_2:
        /*0050*/               @P1 STG.E.128 desc[UR4][R2.64], R4 ;
.L_x_3:
        /*0060*/               @P1 BRA `(.L_x_1) ;
        /*0070*/                   EXIT ;
"""
    code = kernel_limits.instructions(text, "kernel")
    assert len(code) == 8
    assert kernel_limits.main_loop(code) == ("FFMA", "BRA", "STG.E.128", "BRA")
    wide = kernel_limits.turns(["IMAD.WIDE.U32", "IMAD.MOV", "LDS.128", "DFMA", "MUFU.RSQ", "LOP3.LUT", "HFMA2.MMA"])
    assert wide == {
        "issue": 7,
        "float32": 1 + 3,
        "product": 3,
        "integer": 1,
        "special": 1,
        "float64": 1,
        "memory": 4,
    }
