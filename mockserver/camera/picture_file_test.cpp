#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>  // before jpeglib.h, which needs size_t and FILE
#include <cstdlib>

#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

#include "engine/base/limits.hpp"
#include "engine/base/random.hpp"
#include "mockserver/camera/camera.hpp"
#include "mockserver/camera/degrade.hpp"
#include "tests/support/test_support.hpp"

namespace wa::mock::camera {
namespace {

/// Black and white, neither side a multiple of 8.
GrayImage sample() {
  GrayImage image;
  image.width = 37;
  image.height = 26;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      image.pixels.push_back((x / 5 + y / 3 + x * y / 90) % 2 == 0 ? 0 : 255);
    }
  }
  return image;
}

struct PngKind {
  const char* name;
  int color_type;
  int bit_depth;
  bool interlaced = false;
};

std::ostream& operator<<(std::ostream& out, const PngKind& kind) {
  return out << kind.name;
}

/// The sample in that kind of PNG. Where there is transparency, white is written as transparent
/// black.
Bytes png_of(const GrayImage& image, const PngKind& kind) {
  Bytes out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp writer, png_bytep data, png_size_t size) {
        append(*static_cast<Bytes*>(png_get_io_ptr(writer)), std::as_bytes(std::span(data, size)));
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), kind.bit_depth, kind.color_type,
               kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (kind.color_type == PNG_COLOR_TYPE_PALETTE) {
    const std::array<png_color, 2> palette = {png_color{0, 0, 0}, png_color{0, 0, 0}};
    const std::array<png_byte, 2> alpha = {255, 0};
    png_set_PLTE(png, info, palette.data(), 2);
    png_set_tRNS(png, info, alpha.data(), 2, nullptr);
  }
  png_write_info(png, info);
  png_set_packing(png);
  const bool alpha = (kind.color_type & PNG_COLOR_MASK_ALPHA) != 0;
  const int colors =
      kind.color_type != PNG_COLOR_TYPE_PALETTE && (kind.color_type & PNG_COLOR_MASK_COLOR) ? 3 : 1;
  const int passes = kind.interlaced ? png_set_interlace_handling(png) : 1;
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < image.height; ++y) {
      std::vector<png_byte> row;
      for (int x = 0; x < image.width; ++x) {
        const bool white = image.pixels[static_cast<std::size_t>(y * image.width + x)] != 0;
        const int full =
            kind.color_type == PNG_COLOR_TYPE_PALETTE ? 1 : (1 << std::min(kind.bit_depth, 8)) - 1;
        const int bytes_each = kind.bit_depth == 16 ? 2 : 1;
        const int color = white && !alpha ? full : 0;
        row.insert(row.end(), static_cast<std::size_t>(colors * bytes_each),
                   static_cast<png_byte>(color));
        if (alpha)
          row.insert(row.end(), static_cast<std::size_t>(bytes_each),
                     white ? png_byte{0} : png_byte{255});
      }
      png_write_row(png, row.data());
    }
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

class PngKindTest : public testing::TestWithParam<PngKind> {};

TEST_P(PngKindTest, BecomesTheSamePixels) {
  const auto image = decode_picture(png_of(sample(), GetParam())).value();
  EXPECT_EQ(image.width, sample().width);
  EXPECT_EQ(image.height, sample().height);
  EXPECT_EQ(image.pixels, sample().pixels);
}

INSTANTIATE_TEST_SUITE_P(
    PngTest, PngKindTest,
    testing::Values(
        PngKind{"grey_1", PNG_COLOR_TYPE_GRAY, 1}, PngKind{"grey_2", PNG_COLOR_TYPE_GRAY, 2},
        PngKind{"grey_4", PNG_COLOR_TYPE_GRAY, 4}, PngKind{"grey_8", PNG_COLOR_TYPE_GRAY, 8},
        PngKind{"grey_16", PNG_COLOR_TYPE_GRAY, 16}, PngKind{"rgb_8", PNG_COLOR_TYPE_RGB, 8},
        PngKind{"rgb_16", PNG_COLOR_TYPE_RGB, 16},
        PngKind{"transparent_grey_8", PNG_COLOR_TYPE_GRAY_ALPHA, 8},
        PngKind{"transparent_grey_16", PNG_COLOR_TYPE_GRAY_ALPHA, 16},
        PngKind{"transparent_rgb_8", PNG_COLOR_TYPE_RGB_ALPHA, 8},
        PngKind{"transparent_rgb_16", PNG_COLOR_TYPE_RGB_ALPHA, 16},
        PngKind{"transparent_palette_1", PNG_COLOR_TYPE_PALETTE, 1},
        PngKind{"transparent_palette_8", PNG_COLOR_TYPE_PALETTE, 8},
        PngKind{"interlaced_grey_1", PNG_COLOR_TYPE_GRAY, 1, true},
        PngKind{"interlaced_rgba_8", PNG_COLOR_TYPE_RGB_ALPHA, 8, true}),
    [](const auto& each) { return each.param.name; });

struct JpegKind {
  const char* name;
  J_COLOR_SPACE pixels;  ///< what the encoder is given
  J_COLOR_SPACE stored;
  bool progressive = false;
  bool adobe = true;
  bool many_scans = false;
};

std::ostream& operator<<(std::ostream& out, const JpegKind& kind) {
  return out << kind.name;
}

/// One scan for each coefficient and each of its last two bits: 128.
std::vector<jpeg_scan_info> far_too_many_scans() {
  std::vector<jpeg_scan_info> scans;
  const auto add = [&](int first, int last, int from_bit, int to_bit) {
    jpeg_scan_info scan{};
    scan.comps_in_scan = 1;
    scan.Ss = first;
    scan.Se = last;
    scan.Ah = from_bit;
    scan.Al = to_bit;
    scans.push_back(scan);
  };
  for (const int from_bit : {0, 1}) {
    for (int coefficient = 0; coefficient < 64; ++coefficient) {
      add(coefficient, coefficient, from_bit, 1 - from_bit);
    }
  }
  return scans;
}

Bytes jpeg_of(const GrayImage& image, const JpegKind& kind) {
  jpeg_compress_struct file{};
  jpeg_error_mgr errors{};
  file.err = jpeg_std_error(&errors);
  jpeg_create_compress(&file);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&file, &buffer, &size);
  file.image_width = static_cast<JDIMENSION>(image.width);
  file.image_height = static_cast<JDIMENSION>(image.height);
  file.input_components = kind.pixels == JCS_CMYK ? 4 : kind.pixels == JCS_RGB ? 3 : 1;
  file.in_color_space = kind.pixels;
  jpeg_set_defaults(&file);
  jpeg_set_colorspace(&file, kind.stored);
  jpeg_set_quality(&file, 100, TRUE);
  if (!kind.adobe) file.write_Adobe_marker = FALSE;
  if (kind.progressive) jpeg_simple_progression(&file);
  const auto scans = far_too_many_scans();
  if (kind.many_scans) {
    file.scan_info = scans.data();
    file.num_scans = static_cast<int>(scans.size());
  }
  jpeg_start_compress(&file, TRUE);
  std::vector<JSAMPLE> row(static_cast<std::size_t>(image.width * file.input_components));
  while (file.next_scanline < file.image_height) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto components = static_cast<std::size_t>(file.input_components);
      const auto grey = image.pixels[file.next_scanline * file.image_width + i / components];
      // Inks: equal cyan, magenta and yellow, no black. Adobe's files hold paper minus ink.
      const bool black_ink = kind.pixels == JCS_CMYK && i % 4 == 3;
      const int adobe_value = black_ink ? 255 : grey;
      row[i] = static_cast<JSAMPLE>(kind.pixels == JCS_CMYK && !kind.adobe ? 255 - adobe_value
                                                                           : adobe_value);
    }
    JSAMPROW pointer = row.data();
    jpeg_write_scanlines(&file, &pointer, 1);
  }
  jpeg_finish_compress(&file);
  jpeg_destroy_compress(&file);
  const auto* bytes = reinterpret_cast<const std::byte*>(buffer);
  Bytes out(bytes, bytes + size);
  std::free(buffer);
  return out;
}

class JpegKindTest : public testing::TestWithParam<JpegKind> {};

TEST_P(JpegKindTest, BecomesAboutTheSamePixels) {
  const auto image = decode_picture(jpeg_of(sample(), GetParam())).value();
  ASSERT_EQ(image.width, sample().width);
  ASSERT_EQ(image.height, sample().height);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    ASSERT_NEAR(image.pixels[i], sample().pixels[i], 12) << "pixel " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    JpegTest, JpegKindTest,
    testing::Values(JpegKind{"grey", JCS_GRAYSCALE, JCS_GRAYSCALE},
                    JpegKind{"grey_progressive", JCS_GRAYSCALE, JCS_GRAYSCALE, true},
                    JpegKind{"ycbcr", JCS_RGB, JCS_YCbCr},
                    JpegKind{"ycbcr_progressive", JCS_RGB, JCS_YCbCr, true},
                    JpegKind{"rgb", JCS_RGB, JCS_RGB},
                    JpegKind{"cmyk_of_adobe", JCS_CMYK, JCS_CMYK},
                    JpegKind{"ycck_of_adobe", JCS_CMYK, JCS_YCCK},
                    JpegKind{"cmyk_of_others", JCS_CMYK, JCS_CMYK, false, false}),
    [](const auto& each) { return each.param.name; });

const JpegKind kGreyJpeg{"grey", JCS_GRAYSCALE, JCS_GRAYSCALE};
const PngKind kGreyPng{"grey_8", PNG_COLOR_TYPE_GRAY, 8};

/// Sets the checksums of all chunks of a PNG whose chunk lengths are right.
Bytes with_checksums(Bytes png) {
  std::size_t at = 8;
  while (at + 12 <= png.size()) {
    const std::size_t size = read_big_endian(ByteSpan(png).subspan(at, 4));
    const uLong checksum =
        crc32_z(0, reinterpret_cast<const Bytef*>(png.data() + at + 4), 4 + size);
    const auto bytes = big_endian<4>(checksum);
    std::copy(bytes.begin(), bytes.end(), png.begin() + static_cast<std::ptrdiff_t>(at + 8 + size));
    at += 12 + size;
  }
  return png;
}

Bytes png_announcing(std::uint64_t width, std::uint64_t height) {
  Bytes png = png_of(sample(), kGreyPng);
  const auto size = concat(big_endian<4>(width), big_endian<4>(height));
  std::copy(size.begin(), size.end(), png.begin() + 16);
  return with_checksums(png);
}

/// Writes height and width into the frame header.
Bytes jpeg_announcing(std::uint64_t width, std::uint64_t height, const JpegKind& kind = kGreyJpeg) {
  Bytes jpeg = jpeg_of(sample(), kind);
  const auto marker = test::bytes({0xff, kind.progressive ? 0xc2 : 0xc0});
  const auto at = std::search(jpeg.begin(), jpeg.end(), marker.begin(), marker.end());
  const auto size = concat(big_endian<2>(height), big_endian<2>(width));
  std::copy(size.begin(), size.end(), at + 5);
  return jpeg;
}

TEST(PictureFileTest, TheFirstBytesTellAPicture) {
  EXPECT_TRUE(looks_like_picture(png_of(sample(), kGreyPng)));
  EXPECT_TRUE(looks_like_picture(jpeg_of(sample(), kGreyJpeg)));
  EXPECT_FALSE(looks_like_picture({}));
  EXPECT_FALSE(looks_like_picture(test::hex("89504e470d0a1a")));
  EXPECT_FALSE(looks_like_picture(test::hex("ffd8")));
  EXPECT_FALSE(looks_like_picture(as_bytes("GIF89a..........")));
  EXPECT_FALSE(looks_like_picture(as_bytes("https://wa.me/settings/linked_devices#2@")));
}

TEST(PictureFileTest, OtherBytesAreMalformedAndShown) {
  const auto result = decode_picture(as_bytes("GIF89a.........."));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::malformed);
  EXPECT_NE(result.error().detail.find("4749463839612e2e"), std::string::npos) << result.error();
  EXPECT_EQ(decode_picture({}).error().code, Errc::malformed);
}

TEST(PictureFileTest, PicturesCutAnywhereAreMalformed) {
  for (const auto& picture :
       {png_of(sample(), kGreyPng), png_of(sample(), {"palette", PNG_COLOR_TYPE_PALETTE, 8}),
        jpeg_of(sample(), kGreyJpeg),
        jpeg_of(sample(), {"", JCS_GRAYSCALE, JCS_GRAYSCALE, true})}) {
    for (std::size_t size = 0; size < picture.size(); ++size) {
      const auto result = decode_picture(ByteSpan(picture).first(size));
      ASSERT_FALSE(result) << size << " of " << picture.size();
      ASSERT_EQ(result.error().code, Errc::malformed) << size << " of " << picture.size();
    }
  }
}

TEST(PictureFileTest, OneDamagedByteOfAPngIsNoticed) {
  const Bytes good = png_of(sample(), kGreyPng);
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= std::byte{0x10};
    const auto result = decode_picture(bad);
    ASSERT_FALSE(result) << at;
    ASSERT_EQ(result.error().code, Errc::malformed) << at;
  }
}

TEST(PictureFileTest, DamagedPicturesNeverCrash) {
  SeededRandom random(5);
  const auto code = [](const Result<GrayImage>& result) {
    return result ? Errc{} : result.error().code;
  };
  const Bytes png = png_of(sample(), {"", PNG_COLOR_TYPE_PALETTE, 8});
  const Bytes jpegs[] = {jpeg_of(sample(), kGreyJpeg),
                         jpeg_of(sample(), {"", JCS_RGB, JCS_YCbCr, true}),
                         jpeg_of(sample(), {"", JCS_CMYK, JCS_YCCK})};
  int refused = 0;
  for (int round = 0; round < 4000; ++round) {
    Bytes bad = round % 4 == 0 ? png : jpegs[round % 4 - 1];
    for (std::uint64_t i = random.below(4) + 1; i > 0; --i) {
      // In a PNG, data only: lengths stay right, and checksums are made right, so that libpng sees
      // it.
      const std::size_t at = random.below(bad.size());
      bad[at] = static_cast<std::byte>(random.below(256));
    }
    if (round % 4 == 0) {
      std::copy_n(png.begin(), 16, bad.begin());
      for (std::size_t chunk = 8; chunk + 12 <= png.size();) {
        const std::size_t size = read_big_endian(ByteSpan(png).subspan(chunk, 4));
        std::copy_n(png.begin() + static_cast<std::ptrdiff_t>(chunk), 8,
                    bad.begin() + static_cast<std::ptrdiff_t>(chunk));
        chunk += 12 + size;
      }
      bad = with_checksums(bad);
    }
    const auto result = code(decode_picture(bad));
    ASSERT_TRUE(result == Errc{} || result == Errc::malformed || result == Errc::too_large);
    if (result != Errc{}) ++refused;
  }
  EXPECT_GT(refused, 1000);
}

TEST(PictureFileTest, HugeSizesAreRefusedBeforeMemoryIsTaken) {
  for (const std::uint64_t side :
       {std::uint64_t{8193}, std::uint64_t{1} << 30, (std::uint64_t{1} << 31) - 1,
        std::uint64_t{1} << 31, (std::uint64_t{1} << 32) - 1}) {
    EXPECT_EQ(decode_picture(png_announcing(side, side)).error().code, Errc::too_large) << side;
  }
  EXPECT_EQ(decode_picture(png_announcing(1, limits::kMaxPicturePixels + 1)).error().code,
            Errc::too_large);
  EXPECT_EQ(decode_picture(jpeg_announcing(65'500, 65'500)).error().code, Errc::too_large);
  EXPECT_EQ(
      decode_picture(jpeg_announcing(8193, 8193, {"", JCS_RGB, JCS_YCbCr, true})).error().code,
      Errc::too_large);
}

TEST(PictureFileTest, AnnouncedPixelsMustBeThere) {
  EXPECT_EQ(decode_picture(png_announcing(37, 27)).error().code, Errc::malformed);
  EXPECT_EQ(decode_picture(png_announcing(4000, 4000)).error().code, Errc::malformed);
  EXPECT_EQ(decode_picture(jpeg_announcing(37, 260)).error().code, Errc::malformed);
}

TEST(PictureFileTest, EmptySizesAreMalformed) {
  EXPECT_EQ(decode_picture(png_announcing(0, 26)).error().code, Errc::malformed);
  EXPECT_EQ(decode_picture(png_announcing(37, 0)).error().code, Errc::malformed);
  EXPECT_EQ(decode_picture(png_announcing(0, 0)).error().code, Errc::malformed);
  EXPECT_EQ(decode_picture(jpeg_announcing(0, 26)).error().code, Errc::malformed);
  EXPECT_EQ(decode_picture(jpeg_announcing(37, 0)).error().code, Errc::malformed);
}

TEST(PictureFileTest, ProgressiveJpegOfTooManyScansIsRefused) {
  JpegKind kind = kGreyJpeg;
  kind.many_scans = true;
  const auto result = decode_picture(jpeg_of(sample(), kind));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{Errc::malformed, "JPEG: more than 100 scans"}));
}

TEST(PictureFileTest, BytesAfterThePictureAreIgnored) {
  for (Bytes picture : {png_of(sample(), kGreyPng), jpeg_of(sample(), kGreyJpeg)}) {
    append(picture, as_bytes("\r\n-- end of the form --"));
    EXPECT_TRUE(decode_picture(picture));
  }
}

}  // namespace
}  // namespace wa::mock::camera
