#include "engine/net/websocket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wa::net {
namespace {

using ::testing::HasSubstr;

TEST(UrlTest, ReadsEveryPart) {
  const auto check = [](const char* text, bool tls, const char* host, int port,
                        const char* target) {
    SCOPED_TRACE(text);
    const auto url = Url::parse(text);
    ASSERT_TRUE(url) << url.error();
    EXPECT_EQ(url->tls, tls);
    EXPECT_EQ(url->host, host);
    EXPECT_EQ(url->port, port);
    EXPECT_EQ(url->target, target);
  };
  check("ws://127.0.0.1:8080/ws/chat?device=a", false, "127.0.0.1", 8080, "/ws/chat?device=a");
  check("wss://web.example.com/ws", true, "web.example.com", 443, "/ws");
  check("WS://host", false, "host", 80, "/");
  check("ws://host?x=1", false, "host", 80, "/?x=1");
  check("ws://[::1]:9/", false, "::1", 9, "/");
  check("wss://[fe80::1]", true, "fe80::1", 443, "/");
}

TEST(UrlTest, NamesThePartThatIsWrong) {
  const auto check = [](const char* text, const char* part) {
    SCOPED_TRACE(text);
    const auto url = Url::parse(text);
    ASSERT_FALSE(url);
    EXPECT_EQ(url.error().code, Errc::usage);
    EXPECT_THAT(url.error().detail, HasSubstr(part));
  };
  check("", "scheme");
  check("http://x", "scheme");
  check("ws:/x", "scheme");
  check("ws://", "host");
  check("ws://:80", "host");
  check("ws://[::1", "host");
  check("ws://[1.2.3.4]/", "host");
  check("ws://[::1]x", "port");
  check("ws://a,b/", "host");
  check("ws://x:0", "port");
  check("ws://x:", "port");
  check("ws://x:65536", "port");
  check("ws://x:8o", "port");
  check("ws://me:secret@x/", "passwords");
  check("ws://x/a#b", "fragment");
  check("ws://x/a b", "ASCII");
  check("ws://x/\r\nEvil: 1", "ASCII");
}

}  // namespace
}  // namespace wa::net
