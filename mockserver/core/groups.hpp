#pragma once

#include <boost/json/fwd.hpp>

#include "mockserver/core/accounts.hpp"

namespace wa::mock {

/// A group as the server keeps it. Members are named by the ids of their phones.
struct Group {
  enum class Role { member, admin, superadmin };
  struct Description {
    std::string id;
    std::string text;
    std::string owner;  ///< who wrote it
    std::int64_t seconds = 0;
  };

  std::string id;  ///< digits
  std::string subject;
  std::string subject_owner;
  std::int64_t subject_seconds = 0;
  std::string creator;
  std::int64_t creation_seconds = 0;
  std::optional<Description> description;
  std::map<std::string, Role> members;
  bool announcement = false;             ///< only admins write
  bool locked = false;                   ///< only admins change subject and description
  bool admins_add = false;               ///< only admins add members
  std::uint32_t expiration = 0;          ///< of its messages, in seconds; 0: they stay
  std::string invite_code;               ///< empty until it is asked for
  std::uint64_t version = 1;             ///< grows with every change of the members
  std::optional<Addressing> addressing;  ///< how its members are called, whatever they speak

  wire::Jid jid() const { return {id, wire::kServerGroup}; }
  bool has(const std::string& phone_id) const { return members.contains(phone_id); }
  bool is_admin(const std::string& phone_id) const;
};

/// The groups of a tenant.
class Groups {
 public:
  /// With the creator as its only member.
  Group& create(const std::string& creator, std::string subject, Now now, Random& random);
  /// Null unless it is the JID of a group that exists.
  Group* find(const wire::Jid& jid);
  const Group* find(const wire::Jid& jid) const;
  Group* find_by_invite(std::string_view code);
  /// Those that a phone is a member of.
  std::vector<const Group*> of(const std::string& phone_id) const;
  void erase(const Group& group) { groups_.erase(group.id); }
  void clear() { groups_.clear(); }
  std::size_t size() const { return groups_.size(); }

  /// The code of its invite link; another one with `anew`.
  const std::string& invite_code(Group& group, bool anew, Random& random);
  /// Takes a member out. The last admin's place goes to another member; a group without members
  /// is gone afterwards, and false is answered.
  bool remove(Group& group, const std::string& phone_id);

  /// As the group says, else by number if any device of a member speaks dictionary 2, else by LID:
  /// one form for all, since sender keys are known by it.
  static Addressing form_of(const Group& group, const Accounts& accounts);
  /// All devices of all members, phones too.
  static std::vector<DeviceKey> devices(const Group& group, const Accounts& accounts);

  boost::json::array save() const;
  /// Errors: `malformed`, naming the member.
  Result<void> load(const boost::json::array& saved);

 private:
  std::map<std::string, Group, std::less<>> groups_;  ///< by id
};

/// The word in a `<participant type=…>`; empty for a plain member.
std::string_view to_string(Group::Role role);

}  // namespace wa::mock
