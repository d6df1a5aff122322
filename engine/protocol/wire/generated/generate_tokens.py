#!/usr/bin/env python3
"""Writes token_tables.hpp from the token lists.

From the project root:
  python3 engine/protocol/wire/generated/generate_tokens.py tests/vectors/tokens-v2.json \
      tests/vectors/tokens-v3.json > engine/protocol/wire/generated/token_tables.hpp
"""
import json
import sys

SINGLE, DICTIONARIES, PER_DICTIONARY = 236, 4, 256


def table(path):
    with open(path, encoding="utf-8") as file:
        tokens = json.load(file)
    if len(tokens["single"]) != SINGLE or [len(d) for d in tokens["double"]] != [PER_DICTIONARY] * DICTIONARIES:
        sys.exit(f"{path}: unexpected table sizes")
    texts = tokens["single"] + [text for dictionary in tokens["double"] for text in dictionary]
    if len(set(texts)) != len(texts):
        sys.exit(f"{path}: a token appears twice")
    lines = [f"inline constexpr std::array<std::string_view, {len(texts)}> kTokensV{tokens['version']} = {{"]
    lines += [f"    {json.dumps(text, ensure_ascii=True)}," for text in texts]
    return lines + ["};"]


print("// Written by generate_tokens.py from tests/vectors/tokens-v*.json. Do not edit.")
print("//")
print("// Index 0 to 235: the single-byte tokens (0 is never used as one). From 236 on: dictionary d,")
print("// index i at 236 + 256 d + i.")
print("#pragma once\n\n#include <array>\n#include <string_view>\n\nnamespace wa::wire::generated {\n")
for path in sys.argv[1:]:
    print("\n".join(table(path)) + "\n")
print("}  // namespace wa::wire::generated")
