-- The phone looks at pixels: no code, two codes, somebody else's code, half a file. Then a bad photo of the
-- right one, which it can read.
scenario {
  name = "a phone links what it sees, and says why it cannot",
  tags = { "pairing", "camera" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
local other  = engine:device "shop-2"
device:start()
other:start()
local qr = device:await_qr { within = "2s" }
local another = other:await_qr { within = "2s" }

expect.error(function() phone:scan(picture.blank()) end):code("no_qr")
expect.error(function() phone:scan(picture.beside(qr, another)) end):code("several_qrs")
expect.error(function() phone:scan(picture.code("https://example.org")) end):code("not_a_whatsapp_qr")
expect.error(function() phone:scan(qr:sub(1, #qr // 2)) end):code("bad_picture")
expect.error(function() phone:scan("not a picture at all") end):code("bad_picture")
expect(device.state):equals("waiting_for_scan")

phone:scan(picture.photo(qr))
device:await("connected", { within = "10s" })
expect(other.state):equals("waiting_for_scan")
