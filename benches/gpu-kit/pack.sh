#!/usr/bin/env bash
# Packs what a borrowed GPU machine needs into .gpu-kit/ of a checkout of featherm: kit.tar.gz, go.sh, torch_step.py.
# Usage, in the root of the checkout: benches/gpu-kit/pack.sh [cargo options, as -j1 or --offline]
# FEATHERM_KIT_BINARIES=DIR takes featherm, environment and gpu from there instead of building them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ -f Cargo.toml ] && grep -q '^name = "featherm"' Cargo.toml || { echo "pack.sh: run it in the root of a checkout of featherm" >&2; exit 2; }
kit=$PWD/.gpu-kit
stage=$kit/stage
rm -rf "$kit"
mkdir -p "$stage/bin" "$stage/lib" "$kit/deb"
echo '*' > "$kit/.gitignore"

if [ -n "${FEATHERM_KIT_BINARIES:-}" ]; then
    cp "$FEATHERM_KIT_BINARIES"/{featherm,environment,gpu} "$stage/bin/"
else
    # Cargo names the files it made, one JSON object a line.
    messages=$(cargo build --release --locked --no-default-features --features gpu \
        --bin featherm --test environment --bench gpu --message-format=json-render-diagnostics "$@")
    for name in featherm environment gpu; do
        file=$(printf '%s\n' "$messages" | grep '"reason":"compiler-artifact"' | grep "\"name\":\"$name\"" |
            sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1)
        [ -n "$file" ] || { echo "pack.sh: cargo made no $name" >&2; exit 1; }
        cp "$file" "$stage/bin/$name"
    done
fi
strip "$stage"/bin/*

# The Vulkan loader, and what NVIDIA's driver links to: images for computing often have none of them. go.sh uses only those that are missing.
packages=(libvulkan1 libegl1 libglvnd0 libglx0 libx11-6 libxext6 libxcb1 libxau6 libxdmcp6 libbsd0 libmd0)
libraries=(libvulkan.so.1 libEGL.so.1 libGLdispatch.so.0 libGLX.so.0 libX11.so.6 libXext.so.6 libxcb.so.1 libXau.so.6 libXdmcp.so.6 libbsd.so.0 libmd.so.0)
(cd "$kit/deb" && apt-get -qq download "${packages[@]}" 2> apt.log) || echo "pack.sh: apt-get could not fetch every package; taking what this machine has" >&2
for deb in "$kit"/deb/*.deb; do
    [ -e "$deb" ] && dpkg -x "$deb" "$kit/deb/root"
done
for library in "${libraries[@]}"; do
    found=$(find "$kit/deb/root" -name "$library" 2> /dev/null | head -1)
    [ -n "$found" ] || found=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p | awk -v l="$library" '$1 == l { print $NF; exit }')
    if [ -n "$found" ]; then cp -L "$found" "$stage/lib/$library"; else echo "pack.sh: no $library" >&2; fi
done
[ -f "$stage/lib/libvulkan.so.1" ] || { echo "pack.sh: without libvulkan.so.1 the kit may find no device" >&2; exit 1; }

(git rev-parse HEAD 2> /dev/null || echo unknown) > "$stage/commit"
tar -C "$stage" -cf - . | gzip -9 > "$kit/kit.tar.gz"
cp "$here/go.sh" "$here/torch_step.py" "$kit/"
rm -rf "$stage" "$kit/deb"
bytes=$(stat -c %s "$kit/kit.tar.gz")
echo "packed $((bytes >> 20)) MiB into .gpu-kit/, beside the tracked files of the checkout"
# The whole limit is 64 MiB, the checkout included.
[ "$bytes" -lt $((56 << 20)) ] || { echo "pack.sh: too large" >&2; exit 1; }
