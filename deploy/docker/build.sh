#!/bin/sh
# build.sh VARIANT SOURCE PREFIX: the environment of an image (cpu, gpu, gem, tools) in PREFIX, out of the lock of the
# variant. The Dockerfile runs it in its build stage, and a test runs it in a clean folder.
set -eu
variant=$1 source=$2 prefix=$3
python=${PYTHON:-python3}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

"$python" -m venv "$prefix"
"$prefix/bin/python" -m pip install --quiet --no-compile --no-deps -r "$source/deploy/docker/locks/$variant.txt"
wheels=$(mktemp -d)
"$prefix/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$wheels" "$source"
"$prefix/bin/python" -m pip install --quiet --no-compile --no-deps "$wheels"/gem_bedside-*.whl
rm -rf "$wheels"

# Every package of the environment, for the site's scanner of vulnerabilities.
"$prefix/bin/python" "$source/deploy/docker/sbom.py" "$variant" > "$prefix/sbom.cdx.json"

# Nothing that only installs, tests or compiles; bytecode, because the image's root is read-only.
"$prefix/bin/python" -m pip uninstall --quiet --yes pip setuptools
site=$("$prefix/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
find "$site" -type d \( -name tests -o -name test -o -name testing \) \
  \( -path '*/scipy/*' -o -path '*/sympy/*' -o -path '*/onnx/*' -o -path '*/networkx/*' -o -path '*/redis/*' \) \
  -prune -exec rm -rf {} +
find "$site" \( -name '*.pyi' -o -name '*.a' -o -name '*.h' -o -name '*.hpp' -o -name '*.c' -o -name '*.pyx' -o -name '*.pxd' \) \
  -not -path '*/torch/*' -not -path '*/transformers/*' -type f -delete
rm -rf "$site"/onnx/backend/test "$site"/onnxruntime/tools "$site"/onnxruntime/transformers "$site"/onnxruntime/quantization
"$python" -m compileall -q -j 1 "$site" || true  # some packages ship templates that are no Python
