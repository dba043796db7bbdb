# Every target sets up what it needs in .venv, and again only if something changed.
PYTHON ?= python3
CC ?= cc
VENV := .venv
BIN := $(VENV)/bin
RESULTS ?= benchmarks/results/latest
OUT ?= benchmarks/results
LIB ?= build
TORCH ?= 2.6.0
CFLAGS ?= -O3
TARGET ?= core
SECONDS ?= 3600
, := ,

# These alone: other tests import packages that a machine with a GPU may not have.
GPU_TESTS := $(wildcard tests/test_*gpu*.py)
GPU_PYTEST = $(PYTHON) -m pytest -m gpu $(GPU_TESTS) -p no:cacheprovider -W default --tb=short --maxfail=40

.PHONY: demo test test-free-threaded test-slow test-torch lint format bench gpu gpu-build gpu-test gpu-bench gpu-check docs lib
.PHONY: install sanitize sanitize-c sanitize-python sanitize-threads sanitize-valgrind quality fuzz mutation clean
.PHONY: FORCE

# In the order of the names: by their number, files of a few long tests would come last.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

demo: $(VENV)/.built
	@$(BIN)/pyinit demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL)

# The tests of what threads share, on a Python without a GIL: PYTHON_T, or one built from Debian's source.
PYTHON_T ?= $(CURDIR)/build/python-t/bin/python3.13t
UNLOCKED := $(addprefix tests/test_,free_threaded.py bit_generator.py bit_generator_interfaces.py boundary.py fill.py \
    known_answers.py many.py models.py narrow_types.py plan.py streams.py team.py threads.py windows.py windows_refused.py)
test-free-threaded: $(VENV)-t/.built
	PYTHON_GIL=0 PYTHONPATH="$(CURDIR)" $(VENV)-t/bin/python -m pytest -m "not slow" -k "not mkl" -p no:cacheprovider $(UNLOCKED)

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -m slow

# The adapter's tests with another PyTorch: by default the oldest one that it supports.
test-torch: $(VENV)-torch/.$(TORCH) $(VENV)/.built
	@for file in tests/test_torch_*.py; do \
	    PYTHONPATH="$(CURDIR)" $(VENV)-torch/bin/python -m pytest $$file -p no:cacheprovider; \
	    code=$$?; [ $$code = 0 ] || [ $$code = 5 ] || exit $$code; \
	done

# Searches for inputs that reach new code, starting with tests/fuzzing/corpus: TARGET=core (needs clang), streams or
# readers. Failing inputs and new ones are put into build/fuzzing/.
FUZZ_FLAGS = -std=gnu11 -O1 -g -fno-math-errno -ffp-contract=off -Isrc_c -fno-sanitize=alignment
FUZZ_OPTIONS = -max_total_time=$(SECONDS) -timeout=120 -rss_limit_mb=3000 -artifact_prefix=build/fuzzing/$(TARGET)-
fuzz: build/fuzzing/$(TARGET)
	@mkdir -p build/fuzzing/corpus-$(TARGET)
	PYTHONPATH=tests $< $(FUZZ_OPTIONS) $(FUZZ_OPTIONS_$(TARGET)) build/fuzzing/corpus-$(TARGET) tests/fuzzing/corpus/$(TARGET)

FUZZ_OPTIONS_core := -len_control=0 -max_len=400
build/fuzzing/core: tests/fuzzing/core.c $(wildcard tests/fuzz_*.h) $(wildcard src_c/*.[ch])
	@mkdir -p $(@D)
	clang -fsanitize=fuzzer,address,undefined $(FUZZ_FLAGS) $(filter %.c,$^) -o $@ -lm -lpthread

build/fuzzing/streams build/fuzzing/readers: $(VENV)/.fuzz
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec $(BIN)/python -m fuzzing $(@F) "$$@"\n' >$@ && chmod +x $@

# Puts faults into the code, one at a time. Takes hours, mostly for the tests that must notice them.
mutation: $(VENV)/.test
	PYTHONPATH=tests $(BIN)/python -m mutation

# Code on pages has 88 columns, the width that the documentation shows.
PAGES = --line-length 88 README.md docs/*.md docs/*/*.md
lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ruff format --check $(PAGES)
	$(BIN)/mypy
	$(BIN)/stubtest pyinit._core pyinit.bit_generator --mypy-config-file pyproject.toml --ignore-disjoint-bases \
	    --allowlist tests/stubtest_allowlist.txt
	@if command -v pyright >/dev/null; then pyright --pythonpath $(BIN)/python; else echo "pyright is not installed; its checks are skipped."; fi
	@if command -v actionlint >/dev/null; then actionlint; else echo "actionlint is not installed; its checks are skipped."; fi
	PATH="$(abspath $(BIN)):$$PATH" cython-lint pyinit examples
	$(BIN)/clang-format --dry-run --Werror src_c/*.[ch] src_c/*.c[lu] tests/*.[ch] tests/fuzzing/*.c examples/c/*.c benchmarks/*.c benchmarks/quality/*.c*

format: $(VENV)/.lint
	$(BIN)/ruff format .
	$(BIN)/ruff format $(PAGES)
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i src_c/*.[ch] src_c/*.c[lu] tests/*.[ch] tests/fuzzing/*.c examples/c/*.c benchmarks/*.c benchmarks/quality/*.c*

# Each result is a file whose name begins with RESULTS; RESULTS.html shows them all.
BENCHES := initialize calls sizes torch shards jax dask checkpoint
bench: $(VENV)/.bench
	$(BIN)/python benchmarks/bench_fill.py --peers --output $(RESULTS).json
	for name in $(BENCHES); do $(BIN)/python benchmarks/bench_$$name.py --output $(RESULTS)-$$name.json || exit 1; done
	$(BIN)/python benchmarks/page.py $(RESULTS)

# For a machine with a GPU and no network: builds in place, with the installed packages. A part that fails or takes long
# does not stop the next ones; together they end within seven minutes. An interrupted pytest still writes its results.
LIMIT = timeout -k 5 -s INT
gpu gpu-build gpu-test gpu-bench gpu-check: export PYTHONPATH := $(CURDIR)
gpu:
	@failed=0; for part in build test bench check; do $(MAKE) gpu-$$part || failed=1; done; exit $$failed

gpu-build:
	@mkdir -p "$(OUT)"
	$(LIMIT) 60 $(PYTHON) setup.py -q build_ext --inplace || $(PYTHON) -c 'import pyinit'

gpu-test:
	$(LIMIT) 130 $(GPU_PYTEST) --durations=15 --junit-xml="$(OUT)/gpu-tests.xml" \
	    $$($(PYTHON) -c 'import xdist' 2>/dev/null && echo --numprocesses=12 --dist=loadgroup)

gpu-bench:
	$(LIMIT) 120 $(PYTHON) benchmarks/bench_gpu.py --output "$(OUT)/gpu.json"

# Checks memory accesses, and races for a CUDA block's shared memory; for this, each array is allocated on its own.
gpu-check: export PYINIT_TEST_EACH_ALLOCATION := yes
gpu-check:
	@if ! command -v compute-sanitizer >/dev/null; then \
	    echo "compute-sanitizer is not installed: memory accesses and races are not checked."; \
	else \
	    failed=0; \
	    $(LIMIT) 55 compute-sanitizer --error-exitcode 9 --log-file "$(OUT)/gpu-memory.log" \
	        $(GPU_PYTEST) -q -k 'edges or windows and philox and device' || failed=1; \
	    $(LIMIT) 25 compute-sanitizer --tool racecheck --error-exitcode 9 --log-file "$(OUT)/gpu-races.log" \
	        $(GPU_PYTEST) -q -k 'edges and icdf' || failed=1; \
	    exit $$failed; \
	fi

# Runs the tests' C programs and the Python tests that reach C with sanitizers; the C programs under valgrind too.
# tests/test_sanitizers.py checks that each of the three finds faults.
ADDRESS := -g -fsanitize=address,undefined -fno-sanitize-recover=all
THREAD := -g -fsanitize=thread
VALGRIND := valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --fair-sched=yes
SANITIZED = $(BIN)/pytest -m "c_program and not slow" -p no:cacheprovider
PROGRAMS := $(addprefix tests/test_,core.py processors.py quota.py team.py)
# Only the C programs are checked for leaks: an interpreter leaves memory of its own at its end. Tests of Keras, JAX,
# PyTorch and Ray are left out, since their large C++ libraries are not built for a sanitizer. So are the tests of flawed
# samples, which would take hours, and of a memory limit, since a sanitizer needs more. Reports need no suppressions.
# GCC builds the extensions without optimisation; its libraries are loaded before Python.
REACH_C := $(addprefix tests/test_,bit_generator.py bit_generator_interfaces.py boundary.py checkpoint_like.py \
    checkpoint_refused.py checkpoint_write.py distribution.py fill.py files.py files_replaced.py initializers.py \
    interop.py known_answers.py many.py narrow_types.py orthogonal.py plan.py sharding.py storage.py streams.py \
    tensors.py truncated.py truncated_bounds.py windows.py windows_refused.py)
SHARE := $(addprefix tests/test_,free_threaded.py streams.py bit_generator_interfaces.py)

sanitize: sanitize-c sanitize-python sanitize-threads sanitize-valgrind

sanitize-c: $(VENV)/.test
	PYINIT_TEST_CFLAGS="$(ADDRESS)" $(SANITIZED) $(PROGRAMS) tests/test_accuracy.py

sanitize-python: build/address/.built
	PYTHONPATH="$(CURDIR)/build/address/lib" LD_PRELOAD="$(call preloaded,asan)" PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 \
	    PYINIT_TEST_CFLAGS="$(ADDRESS)" $(BIN)/pytest -m "not slow" -p no:cacheprovider $(PARALLEL) $(REACH_C) \
	    -k "not (flaw or little_memory)"

sanitize-threads: build/thread/.built
	$(BIN)/pytest -p no:cacheprovider tests/test_team.py -k no_races
	PYTHONPATH="$(CURDIR)/build/thread/lib" LD_PRELOAD="$(call preloaded,tsan)" TSAN_OPTIONS=halt_on_error=1 \
	    $(BIN)/pytest -m "not slow" -p no:cacheprovider $(SHARE) -k "thread or share"

sanitize-valgrind: $(VENV)/.test
	@command -v valgrind >/dev/null || { echo "valgrind is not installed: install the package valgrind."; exit 1; }
	PYINIT_TEST_CFLAGS=-g PYINIT_TEST_UNDER="$(VALGRIND)" $(SANITIZED) $(PROGRAMS)

# The libraries that a Python without sanitizers must load first.
preloaded = $(foreach library,lib$(1).so libstdc++.so,$(shell $(CC) -print-file-name=$(library)))

# The package with extensions built for a sanitizer, in a folder of its own: the usual ones stay beside the sources.
build/%/.built: $(VENV)/.test
	@echo "Building pyinit in build/$* ..."
	@mkdir -p build
	@CC="$(CC)" CFLAGS="$(if $(filter address,$*),$(ADDRESS),$(THREAD))" $(BIN)/python -W ignore setup.py -q \
	    build --debug --build-base build/$* --build-lib build/$*/lib 2>build/$*.log || { cat build/$*.log; exit 1; }
	@touch $@

# Statistical tests of all samplers, with controls that must fail: at most an hour on two processors.
quality: $(VENV)/.test
	PYTHONPATH=benchmarks $(BIN)/python -m quality --output $(RESULTS)-quality.json

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -q -W --keep-going -n docs build/docs
	@echo "The documentation is in build/docs/index.html."

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include/pyinit
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' pyinit/__init__.py)
# The version of the library's binary interface; docs/reference/versions.md says when to raise it.
ABI := 1
ifeq ($(shell uname -s),Darwin)
SHARED := libpyinit.$(ABI).dylib
LINK := libpyinit.dylib
SONAME := $(LIBDIR)/$(SHARED)
SHARED_FLAGS := -dynamiclib -install_name $(SONAME) -compatibility_version $(ABI) -current_version $(VERSION)
else
SHARED := libpyinit.so.$(ABI)
LINK := libpyinit.so
SONAME := $(SHARED)
# Never unloaded: a thread started for a fill, which a busy machine may run late, ends in the library's code.
SHARED_FLAGS := -shared -Wl$(,)-soname$(,)$(SONAME) $(if $(filter Linux,$(shell uname -s)),-Wl$(,)-z$(,)nodelete)
endif

# The C core for programs in other languages, which need src_c/pyinit.h and one of these.
lib: $(LIB)/libpyinit.a $(LIB)/$(LINK)

# Installs them with files for pkg-config and CMake: make install PREFIX=/usr/local [DESTDIR=/tmp/stage].
install: lib
	install -d $(addprefix "$(DESTDIR)",$(LIBDIR)/pkgconfig $(LIBDIR)/cmake/pyinit $(INCLUDEDIR))
	install -m 644 src_c/pyinit.h src_c/tables.h "$(DESTDIR)$(INCLUDEDIR)"
	install -m 644 $(LIB)/libpyinit.a "$(DESTDIR)$(LIBDIR)"
	install -m 755 $(LIB)/$(SHARED) "$(DESTDIR)$(LIBDIR)"
	ln -sf $(SHARED) "$(DESTDIR)$(LIBDIR)/$(LINK)"
	$(FILL_IN) packaging/pyinit.pc.in >"$(DESTDIR)$(LIBDIR)/pkgconfig/pyinit.pc"
	for file in pyinit-config pyinit-config-version; do \
	    $(FILL_IN) packaging/$$file.cmake.in >"$(DESTDIR)$(LIBDIR)/cmake/pyinit/$$file.cmake" || exit 1; \
	done
FILL_IN = sed $(foreach name,PREFIX LIBDIR INCLUDEDIR VERSION SHARED SONAME,-e 's|@$(name)@|$($(name))|g')

$(LIB)/c/%.o: src_c/%.c $(wildcard src_c/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(CFLAGS) -ffp-contract=off -fno-math-errno -fPIC -Wall -Wextra -c $< -o $@

$(LIB)/libpyinit.a: $(patsubst src_c/%.c,$(LIB)/c/%.o,$(wildcard src_c/*.c))
	rm -f $@
	$(AR) rcs $@ $^

$(LIB)/$(LINK): $(patsubst src_c/%.c,$(LIB)/c/%.o,$(wildcard src_c/*.c)) $(LIB)/.soname
	$(CC) $(SHARED_FLAGS) $(LDFLAGS) $(filter %.o,$^) -o $(LIB)/$(SHARED) -lm -lpthread
	ln -sf $(SHARED) $@

# The name stored in the library; on macOS it includes the prefix.
$(LIB)/.soname: FORCE
	@mkdir -p $(@D)
	@echo "$(SONAME)" | cmp -s - $@ || echo "$(SONAME)" >$@

clean:
	rm -rf $(VENV) $(VENV)-t $(VENV)-torch build dist *.egg-info pyinit/*.so pyinit/*.c

# The package, built in place, with the packages that the demo draws with.
$(VENV)/.built: $(VENV)/.tools setup.py $(wildcard src_c/*) $(wildcard pyinit/*.pyx pyinit/*.pxd pyinit/boundary/*)
	@command -v $(firstword $(CC)) >/dev/null || { echo "pyinit needs a C compiler, and '$(CC)' was not found: install gcc or clang, or set CC."; exit 1; }
	@$(BIN)/python -c 'import os, sys, sysconfig; os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")) or sys.exit("pyinit needs the headers of Python, and Python.h was not found: install the python3-dev package.")'
	@echo "Building pyinit ..."
	@CC="$(CC)" $(BIN)/pip install -q --no-build-isolation -e '.[all]' 2>$(VENV)/build.log || { cat $(VENV)/build.log; exit 1; }
	@touch $@

# The Python and compiler of the environment; another choice builds it anew.
$(VENV)/.choice: FORCE
	@echo "$(PYTHON) $(CC)" | cmp -s - $@ || { rm -rf $(VENV) build; mkdir $(VENV); echo "$(PYTHON) $(CC)" >$@; }
FORCE:

# A virtual environment with the build requirements of pyproject.toml.
$(VENV)/.tools: pyproject.toml $(VENV)/.choice
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("pyinit needs Python 3.10 or newer, and %s is %d.%d: set PYTHON." % (sys.executable, sys.version_info[0], sys.version_info[1]))'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "pyinit needs Python's venv module, and $(PYTHON) has none: install the python3-venv package."; exit 1; }
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check 'setuptools>=77' 'cython>=3.1' 'numpy>=2.0'
	@touch $@

$(VENV)/.test: $(VENV)/.built
	@$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -e '.[test,test-torch]' 2>$(VENV)/build.log || { cat $(VENV)/build.log; exit 1; }
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps 'timm==1.0.31' 2>$(VENV)/build.log || { cat $(VENV)/build.log; exit 1; }
	@touch $@

$(VENV)-torch/.$(TORCH): Makefile
	@rm -rf $(VENV)-torch
	@$(PYTHON) -m venv $(VENV)-torch
	@$(VENV)-torch/bin/pip install -q --disable-pip-version-check 'torch==$(TORCH)' 'transformers==5.24.0; python_version >= "3.11"' numpy scipy \
	    matplotlib rich ml_dtypes hypothesis pytest
	@touch $@

$(VENV)-t/.built: setup.py $(wildcard src_c/*) $(wildcard pyinit/*.pyx pyinit/*.pxd pyinit/boundary/*)
	@[ -x "$(PYTHON_T)" ] || tests/free_threaded_python.sh "$(CURDIR)/build/python-t"
	@[ -d $(VENV)-t ] || $(PYTHON_T) -m venv $(VENV)-t
	@$(VENV)-t/bin/pip install -q --disable-pip-version-check --only-binary :all: 'setuptools>=77' 'cython>=3.1' \
	    'numpy>=2.0' hypothesis ml_dtypes pytest rich scipy
	@$(VENV)-t/bin/python setup.py -q build_ext --inplace
	@touch $@

# The Python that JAX and transformers need.
NEEDS_311 = @$(BIN)/python -c 'import sys; sys.version_info >= (3, 11) or sys.exit("make docs and make bench need Python 3.11 or newer, and $(PYTHON) is %d.%d: set PYTHON." % sys.version_info[:2])'

$(VENV)/.bench: $(VENV)/.built
	$(NEEDS_311)
	@$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -e '.[bench]' 2>$(VENV)/build.log || { cat $(VENV)/build.log; exit 1; }
	@touch $@

$(VENV)/.fuzz: $(VENV)/.test
	@$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -e '.[fuzz]' 2>$(VENV)/build.log || { cat $(VENV)/build.log; exit 1; }
	@touch $@

$(VENV)/.docs: $(VENV)/.built
	$(NEEDS_311)
	@$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -e '.[docs]' 2>$(VENV)/build.log || { cat $(VENV)/build.log; exit 1; }
	@touch $@

$(VENV)/.lint: $(VENV)/.built
	@$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -e '.[lint]' 2>$(VENV)/build.log || { cat $(VENV)/build.log; exit 1; }
	@touch $@
