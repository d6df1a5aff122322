// Pictures that are scanned: PNG, JPEG, data: URLs, anything.
#include "mockserver/camera/camera.hpp"
#include "tests/fuzz/input.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)wa::mock::camera::read_picture(wa::fuzz::Input(data, size).rest());
  return 0;
}
