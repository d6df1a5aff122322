#include "tests/support/test_support.hpp"

#include <boost/json/parse.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

namespace wa::test {

namespace fs = std::filesystem;

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = fs::temp_directory_path() / "testline-test-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) {
    std::cerr << "cannot make a directory like " << pattern << "\n";
    std::abort();
  }
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::permissions(path_, fs::perms::owner_all, ignored);
  fs::remove_all(path_, ignored);
}

Bytes bytes(std::initializer_list<int> values) {
  Bytes out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

Bytes hex(std::string_view text) {
  auto decoded = from_hex(text);
  if (!decoded) {
    std::cerr << "a test holds bad hex: " << decoded.error() << "\n";
    std::abort();
  }
  return std::move(*decoded);
}

boost::json::value vectors(std::string_view name) {
  const std::string path = std::string(WA_VECTORS "/") + std::string(name);
  std::ifstream file(path);
  if (!file) {
    std::cerr << "cannot read " << path << "\n";
    std::abort();
  }
  std::stringstream text;
  text << file.rdbuf();
  return boost::json::parse(text.str());
}

Bytes hex_at(const boost::json::value& object, std::string_view key) {
  return hex(std::string_view(object.at(key).as_string()));
}

std::string text_at(const boost::json::value& object, std::string_view key) {
  return std::string(object.at(key).as_string());
}

}  // namespace wa::test
