#include <algorithm>
#include <lua.hpp>

#include "engine/qr/qr.hpp"
#include "mockserver/camera/degrade.hpp"
#include "scenarios/lua/script_impl.hpp"

// `picture`: what a camera may be pointed at, beside the code that a device shows.
namespace wa::lua {

namespace camera = mock::camera;

namespace {

constexpr int kBlank = 200;  // pixels
constexpr int kGap = 40;
constexpr double kDegrees = 7;
constexpr int kQuality = 80;

std::string_view bytes_at(lua_State* L, int index) {
  if (lua_type(L, index) != LUA_TSTRING)
    raise(L, "usage", "a picture is needed: PNG or JPEG bytes");
  std::size_t length = 0;
  const char* bytes = lua_tolstring(L, index, &length);
  return {bytes, length};
}

camera::GrayImage image_at(lua_State* L, int index) {
  return unwrap(L, camera::decode_picture(as_bytes(bytes_at(L, index))));
}

camera::GrayImage white(int width, int height) {
  const auto count = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  return {width, height, std::vector<std::uint8_t>(count, 255)};
}

int push_bytes(lua_State* L, const Bytes& bytes) {
  lua_pushlstring(L, as_text(bytes).data(), bytes.size());
  return 1;
}

/// A QR code of any text.
int code(lua_State* L) {
  if (lua_type(L, 1) != LUA_TSTRING) raise(L, "usage", "picture.code takes a text");
  return push_bytes(L, unwrap(L, qr::to_png(bytes_at(L, 1))));
}

/// A white page.
int blank(lua_State* L) {
  return push_bytes(L, camera::degrade::png(white(kBlank, kBlank)));
}

/// Two pictures side by side on one page.
int beside(lua_State* L) {
  const camera::GrayImage left = image_at(L, 1);
  const camera::GrayImage right = image_at(L, 2);
  const int width = left.width + kGap + right.width;
  auto page = camera::degrade::paste(left, white(width, std::max(left.height, right.height)), 0, 0);
  page = camera::degrade::paste(right, std::move(page), left.width + kGap, 0);
  return push_bytes(L, camera::degrade::png(page));
}

/// The picture as a phone sees it on a screen: turned a little, and a JPEG.
int photo(lua_State* L) {
  const camera::GrayImage turned = camera::degrade::rotate(image_at(L, 1), kDegrees);
  return push_bytes(L, camera::degrade::jpeg(turned, kQuality));
}

}  // namespace

void install_pictures(lua_State* L) {
  const luaL_Reg functions[] = {
      {"code", code}, {"blank", blank}, {"beside", beside}, {"photo", photo}, {nullptr, nullptr}};
  luaL_newlib(L, functions);
  lua_setglobal(L, "picture");
}

}  // namespace wa::lua
