#!/usr/bin/env bash
# clang-format and clang-tidy over the files changed since the last commit on main (or over all of
# them with --all). clang-tidy parses Asio anew for each file, so it reads what was built last:
# build/asan or build/dev must exist.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "${1:-}" = --all ]; then
  mapfile -t files < <(git ls-files '*.cpp' '*.hpp')
else
  mapfile -t files < <({ git diff --name-only --diff-filter=d HEAD; git diff --name-only --diff-filter=d HEAD~1 2>/dev/null || true; } |
    grep -E '\.(cpp|hpp)$' | sort -u)
fi
[ ${#files[@]} -eq 0 ] && { echo "nothing to lint"; exit 0; }
clang-format-16 --dry-run --Werror "${files[@]}"
database=
for preset in asan dev release; do
  [ -f "build/$preset/compile_commands.json" ] && { database=build/$preset; break; }
done
[ -n "$database" ] || { echo "no build to read: ./dev build" >&2; exit 3; }
printf '%s\n' "${files[@]}" | grep -E '\.cpp$' |
  xargs -r -P2 -n4 clang-tidy-16 -p "$database" --quiet
echo "lint: ${#files[@]} files clean"
