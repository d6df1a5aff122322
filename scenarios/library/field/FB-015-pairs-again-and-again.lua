-- FB-015: the QR appears the first time only; after a logout the instance must be deleted and made anew.
scenario {
  name = "an unlinked device pairs again, as often as one likes",
  tags = { "pairing", "unlink", "FB-015" },
  loopback_scale = 1/50,
  symptom = { "QR code not generated again", "instance must be recreated" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
local open_files
for cycle = 1, mode == "sim" and 10 or 4 do
  device:start()
  phone:scan(device:await_qr { within = "3m" })
  device:await("connected", { within = "3m" })
  local files = device:inspect().open_files
  open_files = open_files or files
  if files then expect(files):at_most(open_files + 2) end  -- nothing of an earlier cycle is kept open
  phone:unlink(device)
  device:await("logged_out", { within = "3m" })
  expect(device.streams):equals(0)
end
