#include "mockserver/net/chat_path.hpp"

#include "engine/base/bytes.hpp"

namespace wa::mock {
namespace {

constexpr std::string_view kChat = "/ws/chat";
constexpr std::string_view kTenants = "/t/";

}  // namespace

Result<std::string> tenant_of_target(std::string_view target) {
  std::string_view path = target.substr(0, target.find('?'));
  if (path == kChat) return std::string();
  if (path.starts_with(kTenants) && path.ends_with(kChat) &&
      path.size() > kTenants.size() + kChat.size()) {
    path.remove_prefix(kTenants.size());
    path.remove_suffix(kChat.size());
    if (is_name(path)) return std::string(path);
  }
  return Error{Errc::not_found,
               "nothing is served at this path; connect to /ws/chat, or to /t/TENANT/ws/chat with "
               "a tenant's name of 1 to 64 letters, digits, _ and -"};
}

}  // namespace wa::mock
