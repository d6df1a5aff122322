// A tenant's accounts and groups as JSON text, and back.

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "mockserver/core/saved_member.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {

namespace json = boost::json;

std::string Tenant::save() const {
  return json::serialize(json::object{
      {"version", 1}, {"phones", impl_->accounts.save()}, {"groups", impl_->groups.save()}});
}

Result<void> Tenant::load(std::string_view text) {
  boost::system::error_code failure;
  const json::value parsed = json::parse(text, failure);
  if (failure || !parsed.is_object()) {
    return Error{Errc::malformed, "accounts: not a JSON object"};
  }
  const json::object& saved = parsed.get_object();
  WA_TRY(const json::array phones, SavedMember(saved, "phones").list());
  json::array groups;  // not saved always
  if (saved.contains("groups")) {
    WA_TRY(groups, SavedMember(saved, "groups").list());
  }
  Accounts accounts;
  WA_TRY_VOID(accounts.load(phones));
  WA_TRY_VOID(impl_->groups.load(groups));
  impl_->accounts = std::move(accounts);
  return {};
}

}  // namespace wa::mock
