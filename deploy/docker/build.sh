#!/bin/sh
# build.sh VARIANT SOURCE PREFIX: the environment of an image (cpu, gpu, gem, tools) in PREFIX, out of the lock of the
# variant. The Dockerfile runs it in its build stage, and a test runs it in a clean folder.
set -eu
variant=$1 source=$2 prefix=$3
python=${PYTHON:-python3}
lock=$source/deploy/docker/locks/$variant.txt
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

"$python" -m venv "$prefix"
pip() { "$prefix/bin/python" -m pip "$@"; }
if [ "$variant" = gem ]; then
  # torch pins the CUDA libraries of its own build, so they come with it and are not in the lock.
  pip install --quiet --no-compile -c "$lock" torch 'onnxruntime-gpu[cuda,cudnn]'
fi
wheels=$(mktemp -d)
# With hashes pip rejects any other file. They are those of Python 3.11 on x86-64: elsewhere the exact versions alone hold.
if [ "$("$prefix/bin/python" -c 'import sys; print(sys.version_info[:2] == (3, 11))') $(uname -m)" != "True x86_64" ]; then
  sed 's/ --hash=.*//' "$lock" > "$wheels/lock.txt"
  lock=$wheels/lock.txt
fi
pip install --quiet --no-compile --no-deps -r "$lock"
pip wheel --quiet --no-deps --wheel-dir "$wheels" "$source"
pip install --quiet --no-compile --no-deps "$wheels"/gem_bedside-*.whl
rm -rf "$wheels"

# Every package and weight of the environment, for the site's scanner of vulnerabilities.
(cd / && "$prefix/bin/python" -m deploy.supply_chain sbom --out "$prefix/sbom.cdx.json")

# Nothing that only installs, tests, compiles or evaluates.
pip uninstall --quiet --yes pip setuptools
site=$("$prefix/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
cd "$site"
find numpy scipy onnx redis -type d -name tests -prune -exec rm -rf {} +
find . \( -name '*.pyi' -o -name '*.a' -o -name '*.h' -o -name '*.hpp' -o -name '*.pyx' -o -name '*.pxd' \) \
  -not -path './torch/*' -not -path './transformers/*' -type f -delete
rm -rf onnx/backend/test onnxruntime/tools onnxruntime/transformers onnxruntime/quantization \
  zstandard/_cffi*.so zstandard/backend_cffi.py models/weights/*_fold*
# Bytecode, because the root of the container is read-only; some packages ship templates that are no Python.
"$python" -m compileall -q -x /pygments/ . || true
