#include "mockserver/core/groups.hpp"

#include <algorithm>

#include "mockserver/core/saved_member.hpp"

namespace wa::mock {
namespace {

namespace json = boost::json;
using Role = Group::Role;

json::object save_group(const Group& group) {
  json::object members;
  for (const auto& [phone_id, role] : group.members) {
    members[phone_id] = static_cast<int>(role);
  }
  json::object saved = {{"id", group.id},
                        {"subject", group.subject},
                        {"subject_owner", group.subject_owner},
                        {"subject_time", group.subject_seconds},
                        {"creator", group.creator},
                        {"creation", group.creation_seconds},
                        {"members", std::move(members)},
                        {"announcement", group.announcement},
                        {"locked", group.locked},
                        {"admins_add", group.admins_add},
                        {"expiration", group.expiration},
                        {"invite_code", group.invite_code},
                        {"version", group.version}};
  if (group.addressing) saved["by_number"] = *group.addressing == Addressing::pn;
  if (group.description) {
    saved["description"] = json::object{{"id", group.description->id},
                                        {"text", group.description->text},
                                        {"owner", group.description->owner},
                                        {"time", group.description->seconds}};
  }
  return saved;
}

Result<Group> load_group(const json::object& object) {
  Group group;
  WA_TRY(group.id, SavedMember(object, "id").text());
  WA_TRY(group.subject, SavedMember(object, "subject").text());
  WA_TRY(group.subject_owner, SavedMember(object, "subject_owner").text());
  WA_TRY(group.subject_seconds, SavedMember(object, "subject_time").whole());
  WA_TRY(group.creator, SavedMember(object, "creator").text());
  WA_TRY(group.creation_seconds, SavedMember(object, "creation").whole());
  WA_TRY(group.announcement, SavedMember(object, "announcement").flag());
  WA_TRY(group.locked, SavedMember(object, "locked").flag());
  WA_TRY(group.admins_add, SavedMember(object, "admins_add").flag());
  WA_TRY(group.expiration, SavedMember(object, "expiration").number());
  WA_TRY(group.invite_code, SavedMember(object, "invite_code").text());
  WA_TRY(const std::int64_t version, SavedMember(object, "version").whole());
  group.version = static_cast<std::uint64_t>(version);
  WA_TRY(const json::object members, SavedMember(object, "members").object());
  for (const auto& member : members) {
    WA_TRY(const std::uint32_t role, SavedMember(members, member.key()).number());
    if (role > static_cast<std::uint32_t>(Role::superadmin)) {
      return Error{Errc::malformed, "accounts: a member of group " + group.id + " has no role"};
    }
    group.members.emplace(member.key(), static_cast<Role>(role));
  }
  if (object.contains("by_number")) {
    WA_TRY(const bool by_number, SavedMember(object, "by_number").flag());
    group.addressing = by_number ? Addressing::pn : Addressing::lid;
  }
  if (object.contains("description")) {
    WA_TRY(const json::object saved, SavedMember(object, "description").object());
    Group::Description description;
    WA_TRY(description.id, SavedMember(saved, "id").text());
    WA_TRY(description.text, SavedMember(saved, "text").text());
    WA_TRY(description.owner, SavedMember(saved, "owner").text());
    WA_TRY(description.seconds, SavedMember(saved, "time").whole());
    group.description = std::move(description);
  }
  return group;
}

}  // namespace

std::string_view to_string(Role role) {
  switch (role) {
    case Role::member: return "";
    case Role::admin: return "admin";
    case Role::superadmin: return "superadmin";
  }
  return "";
}

bool Group::is_admin(const std::string& phone_id) const {
  const auto found = members.find(phone_id);
  return found != members.end() && found->second != Role::member;
}

Group& Groups::create(const std::string& creator, std::string subject, Now now, Random& random) {
  Group group;
  const std::uint64_t tail = 100'000'000'000 + random.below(900'000'000'000);
  group.id = "120363" + std::to_string(tail);
  group.subject = std::move(subject);
  group.subject_owner = creator;
  group.creator = creator;
  group.subject_seconds = group.creation_seconds = now.wall.seconds();
  group.members.emplace(creator, Role::superadmin);
  const std::string id = group.id;
  return groups_.insert_or_assign(id, std::move(group)).first->second;
}

const Group* Groups::find(const wire::Jid& jid) const {
  if (jid.server != wire::kServerGroup) return nullptr;
  const auto found = groups_.find(jid.user);
  return found == groups_.end() ? nullptr : &found->second;
}

Group* Groups::find(const wire::Jid& jid) {
  return const_cast<Group*>(std::as_const(*this).find(jid));
}

Group* Groups::find_by_invite(std::string_view code) {
  if (code.empty()) return nullptr;
  const auto found = std::find_if(groups_.begin(), groups_.end(), [&](const auto& entry) {
    return entry.second.invite_code == code;
  });
  return found == groups_.end() ? nullptr : &found->second;
}

std::vector<const Group*> Groups::of(const std::string& phone_id) const {
  std::vector<const Group*> found;
  for (const auto& [id, group] : groups_) {
    if (group.has(phone_id)) found.push_back(&group);
  }
  return found;
}

const std::string& Groups::invite_code(Group& group, bool anew, Random& random) {
  if (group.invite_code.empty() || anew) {
    constexpr std::string_view kLetters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    group.invite_code.clear();
    for (int i = 0; i < 22; ++i) group.invite_code += kLetters[random.below(kLetters.size())];
  }
  return group.invite_code;
}

bool Groups::remove(Group& group, const std::string& phone_id) {
  group.members.erase(phone_id);
  ++group.version;
  if (group.members.empty()) {
    groups_.erase(std::string(group.id));
    return false;
  }
  const bool led = std::any_of(group.members.begin(), group.members.end(),
                               [](const auto& member) { return member.second != Role::member; });
  if (!led) group.members.begin()->second = Role::admin;
  return true;
}

Addressing Groups::form_of(const Group& group, const Accounts& accounts) {
  if (group.addressing) return *group.addressing;
  for (const auto& [phone_id, role] : group.members) {
    const Phone* phone = accounts.find(phone_id);
    if (phone == nullptr) continue;
    for (const auto& [device, companion] : phone->companions) {
      if (companion.dictionary == wire::Dictionary::v2) return Addressing::pn;
    }
  }
  return Addressing::lid;
}

std::vector<DeviceKey> Groups::devices(const Group& group, const Accounts& accounts) {
  std::vector<DeviceKey> all;
  for (const auto& [phone_id, role] : group.members) {
    const Phone* phone = accounts.find(phone_id);
    if (phone == nullptr) continue;
    for (DeviceKey& device : Accounts::devices(*phone)) all.push_back(std::move(device));
  }
  return all;
}

json::array Groups::save() const {
  json::array saved;
  for (const auto& [id, group] : groups_) saved.push_back(save_group(group));
  return saved;
}

Result<void> Groups::load(const json::array& saved) {
  std::map<std::string, Group, std::less<>> loaded;
  for (const json::value& entry : saved) {
    if (!entry.is_object()) return Error{Errc::malformed, "accounts: a group is no object"};
    WA_TRY(Group group, load_group(entry.get_object()));
    const std::string id = group.id;
    loaded.emplace(id, std::move(group));
  }
  groups_ = std::move(loaded);
  return {};
}

}  // namespace wa::mock
