#include "engine/net/proxy.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace wa::net {
namespace {

/// An answer to CONNECT is a status line and a few headers.
constexpr std::size_t kMaxAnswerBytes = 16 * 1024;
/// SOCKS5 counts names, users and passwords in one byte.
constexpr std::size_t kMaxSocksText = 255;

Error wrong(const std::string& what) {
  return Error{Errc::usage,
               "proxy: " + what + "; expected http://[USER:PASSWORD@]HOST:PORT or socks5://…"};
}

Result<std::string> decoded_login(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const auto byte = i + 2 < text.size() ? from_hex(text.substr(i + 1, 2))
                                          : Result<Bytes>(Error{Errc::malformed, ""});
    if (!byte) return wrong("a % in user or password is not followed by two hexadecimal digits");
    decoded += as_text(*byte);
    i += 2;
  }
  return decoded;
}

Result<Proxy::Login> parse_login(std::string_view text, Proxy::Kind kind) {
  const std::size_t colon = text.find(':');
  Proxy::Login login;
  WA_TRY(login.user, decoded_login(text.substr(0, colon)));
  if (colon != std::string_view::npos) {
    WA_TRY(login.password, decoded_login(text.substr(colon + 1)));
  }
  if (kind == Proxy::Kind::http && login.user.find(':') != std::string::npos) {
    return wrong("HTTP allows no : in a user");
  }
  if (kind == Proxy::Kind::socks5 && (login.user.empty() || login.user.size() > kMaxSocksText ||
                                      login.password.size() > kMaxSocksText)) {
    return wrong("with SOCKS5 a user has 1 to 255 bytes, and a password at most 255");
  }
  return login;
}

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

}  // namespace

Result<Proxy> Proxy::parse(std::string_view url) {
  Proxy proxy;
  if (url.starts_with("socks5://")) {
    proxy.kind = Kind::socks5;
  } else if (!url.starts_with("http://")) {
    return wrong("the scheme must be http:// or socks5://");
  }
  url.remove_prefix(url.find("//") + 2);
  if (url.ends_with('/')) url.remove_suffix(1);
  // A password may hold an @ that somebody forgot to encode: the last one ends it.
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
    WA_TRY(proxy.login, parse_login(url.substr(0, at), proxy.kind));
    url.remove_prefix(at + 1);
  }
  const std::size_t colon = url.rfind(':');
  const bool v6 = url.starts_with('[');
  if (colon == std::string_view::npos || (v6 && (colon == 0 || url[colon - 1] != ']'))) {
    return wrong("the port is missing");
  }
  const std::string_view host = v6 ? url.substr(1, colon - 2) : url.substr(0, colon);
  const auto in_host = [v6](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_' || (v6 && c == ':');
  };
  if (host.empty() || !std::all_of(host.begin(), host.end(), in_host)) {
    return wrong("the host is missing or has characters that no host has");
  }
  proxy.host = std::string(host);
  const std::string_view port = url.substr(colon + 1);
  const auto [stop, failed] = std::from_chars(port.data(), port.data() + port.size(), proxy.port);
  if (failed != std::errc() || stop != port.data() + port.size() || proxy.port == 0) {
    return wrong("the port must be a number from 1 to 65535");
  }
  return proxy;
}

Bytes ProxyHandshake::feed(ByteSpan received) {
  WA_ASSERT(!done_ && !failure_);
  append(received_, received);
  Bytes answer = advance();
  // Nobody has spoken through the tunnel yet, so nobody can have answered.
  if (done_ && !received_.empty()) return fail("it sent more than its answer");
  return answer;
}

Bytes ProxyHandshake::fail(std::string detail, std::optional<int> http_status) {
  failure_ = Failure{http_status, std::move(detail)};
  done_ = false;
  return {};
}

namespace {

// ---- HTTP CONNECT -------------------------------------------------------------------------------

class ConnectHandshake final : public ProxyHandshake {
 public:
  ConnectHandshake(const Proxy& proxy, const std::string& host, std::uint16_t port) {
    const std::string target = bracketed(host) + ":" + std::to_string(port);
    request_ = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
    if (proxy.login) {
      const std::string login = proxy.login->user + ":" + proxy.login->password;
      request_ += "Proxy-Authorization: Basic " + to_base64(as_bytes(login)) + "\r\n";
    }
    request_ += "\r\n";
  }

  Bytes request() const override { return to_bytes(request_); }

 private:
  Bytes advance() override {
    const std::string_view text = as_text(received_);
    constexpr std::string_view kBegin = "HTTP/1.";
    if (!text.starts_with(kBegin.substr(0, std::min(text.size(), kBegin.size())))) {
      return fail("it does not speak HTTP");
    }
    const std::size_t end = text.find("\r\n\r\n");
    if (end == std::string_view::npos) {
      if (text.size() > kMaxAnswerBytes) return fail("its answer is larger than 16 KiB");
      return {};
    }
    // "HTTP/1.1 200 Connection established"
    const std::string_view line = text.substr(0, text.find("\r\n"));
    int status = 0;
    const std::size_t digits = kBegin.size() + 2;
    if (line.size() < digits + 3 || line[digits - 1] != ' ' ||
        std::from_chars(line.data() + digits, line.data() + digits + 3, status).ptr !=
            line.data() + digits + 3 ||
        status < 100) {
      return fail("its answer has no HTTP status");
    }
    if (status / 100 != 2) return refused(status, line.substr(digits));
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(end + 4));
    done_ = true;
    return {};
  }

  Bytes refused(int status, std::string_view words) {
    constexpr std::size_t kQuoted = 100;
    std::string text;
    for (const char c : words.substr(0, kQuoted)) text += c >= ' ' && c < 0x7f ? c : '?';
    std::string detail = "it refused with HTTP " + text;
    if (status == 407) detail += "; give a user and a password that it knows, in its URL";
    return fail(std::move(detail), status);
  }

  std::string request_;
};

// ---- SOCKS5: RFC 1928, user and password: RFC 1929 ----------------------------------------------

constexpr std::byte kVersion{5};
constexpr std::byte kLoginVersion{1};
constexpr std::byte kNoLogin{0};
constexpr std::byte kUserAndPassword{2};

void append_counted(Bytes& to, std::string_view text) {
  to.push_back(static_cast<std::byte>(text.size()));
  append(to, as_bytes(text));
}

/// Type and address as SOCKS5 writes them.
Bytes socks_address(const std::string& host) {
  std::array<std::byte, 16> address{};
  if (::inet_pton(AF_INET, host.c_str(), address.data()) == 1) {
    return concat(std::array{std::byte{1}}, ByteSpan(address).first(4));
  }
  if (::inet_pton(AF_INET6, host.c_str(), address.data()) == 1) {
    return concat(std::array{std::byte{4}}, ByteSpan(address));
  }
  Bytes name{std::byte{3}};
  append_counted(name, host);
  return name;
}

std::string socks_reply(std::byte code) {
  switch (std::to_integer<int>(code)) {
    case 1: return "a general failure";
    case 2: return "its rules do not allow this connection";
    case 3: return "it does not reach the network";
    case 4: return "it does not reach the host";
    case 5: return "the host refused the connection";
    case 6: return "the connection timed out on its way";
    case 7: return "it does not know CONNECT";
    case 8: return "it does not know this type of address";
    default: return "an unknown reason";
  }
}

class SocksHandshake final : public ProxyHandshake {
 public:
  SocksHandshake(const Proxy& proxy, const std::string& host, std::uint16_t port)
      : login_(proxy.login),
        connect_(concat(std::array{kVersion, std::byte{1}, std::byte{0}}, socks_address(host),
                        big_endian<2>(port))) {}

  Bytes request() const override {
    if (!login_) return {kVersion, std::byte{1}, kNoLogin};
    return {kVersion, std::byte{2}, kNoLogin, kUserAndPassword};
  }

 private:
  enum class Step { method, login, connect };

  Bytes advance() override {
    Bytes answer;
    // A proxy may not answer what it was not asked yet: one step a time.
    if (step_ == Step::method)
      answer = on_method();
    else if (step_ == Step::login)
      answer = on_login();
    else
      answer = on_connect();
    return answer;
  }

  Bytes on_method() {
    if (!received_.empty() && received_[0] != kVersion) return fail("it does not speak SOCKS5");
    if (received_.size() < 2) return {};
    const std::byte method = take(2)[1];
    if (!received_.empty()) return fail("it answered before it was asked");
    if (method == kNoLogin) {
      step_ = Step::connect;
      return connect_;
    }
    if (method != kUserAndPassword || !login_) {
      return fail(login_ ? "it accepts neither no login nor user and password"
                         : "it wants a login; give user and password in its URL");
    }
    step_ = Step::login;
    Bytes login{kLoginVersion};
    append_counted(login, login_->user);
    append_counted(login, login_->password);
    return login;
  }

  Bytes on_login() {
    if (received_.size() < 2) return {};
    const Bytes reply = take(2);
    if (!received_.empty()) return fail("it answered before it was asked");
    if (reply[0] != kLoginVersion || reply[1] != std::byte{0}) {
      return fail("it refused the user and the password");
    }
    step_ = Step::connect;
    return connect_;
  }

  Bytes on_connect() {
    if (!received_.empty() && received_[0] != kVersion) return fail("it does not speak SOCKS5");
    if (received_.size() < 2) return {};
    if (received_[1] != std::byte{0}) {
      return fail("it refused with code " + std::to_string(std::to_integer<int>(received_[1])) +
                  ": " + socks_reply(received_[1]));
    }
    if (received_.size() < 5) return {};
    std::size_t address_bytes = 0;
    switch (std::to_integer<int>(received_[3])) {
      case 1: address_bytes = 4; break;
      case 4: address_bytes = 16; break;
      case 3: address_bytes = 1 + std::to_integer<std::size_t>(received_[4]); break;
      default: return fail("its answer has an unknown type of address");
    }
    const std::size_t whole = 4 + address_bytes + 2;
    if (received_.size() < whole) return {};
    take(whole);
    done_ = true;
    return {};
  }

  Bytes take(std::size_t count) {
    const auto end = received_.begin() + static_cast<std::ptrdiff_t>(count);
    Bytes taken(received_.begin(), end);
    received_.erase(received_.begin(), end);
    return taken;
  }

  std::optional<Proxy::Login> login_;
  Bytes connect_;
  Step step_ = Step::method;
};

}  // namespace

Result<std::unique_ptr<ProxyHandshake>> ProxyHandshake::begin(const Proxy& proxy,
                                                              const std::string& host,
                                                              std::uint16_t port) {
  std::unique_ptr<ProxyHandshake> handshake;
  if (proxy.kind == Proxy::Kind::http) {
    handshake = std::make_unique<ConnectHandshake>(proxy, host, port);
  } else if (host.size() > kMaxSocksText) {
    return Error{Errc::usage, "SOCKS5 carries names of at most 255 bytes"};
  } else {
    handshake = std::make_unique<SocksHandshake>(proxy, host, port);
  }
  return handshake;
}

}  // namespace wa::net
