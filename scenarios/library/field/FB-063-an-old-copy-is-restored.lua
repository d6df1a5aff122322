-- FB-063: a snapshot is restored: "Bad MAC" with all contacts, since they are ahead of the ratchets in it; and what is sent
-- repeats keys and ids. The engine asks the server at its first login which pre-keys it has, before anything is said: ids
-- that were never made here are proof, as is a receipt for a message that was never sent here. Then it says so, makes
-- new pre-keys, begins new sessions for what it sends, and asks again for what it cannot read.
-- Left to later: a copy from which nothing shows that it is old (no upload since, nobody tells of a later message).
scenario {
  name = "a restored backup is noticed before a key is used twice, and every contact is read again",
  tags = { "signal", "disk", "rollback", "FB-063" },
  loopback_scale = 1/20,
  needs = { "send", "testline_db" },
  symptom = { "all contacts Bad MAC after restoring a snapshot", "Bad MAC after restore", "Key used already or never filled" },
}
local kMany = mode == "sim" and 200 or 48
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
local peers  = {}
for i = 1, 4 do peers[i] = server:phone { number = "1555010010" .. i } end
local consumed = server:fault { fault = "prekeys", args = { left = 0 }, where = { device = device }, when = { manual = true } }
device:start()
phone:scan(device:await_qr { within = "1m" }, { within = "1m" })
device:await("connected", { within = "1m" })

local function talk(from, to)
  for i = from, to do
    local peer = peers[i % #peers + 1]
    device:await_message { id = peer:send(phone, "text " .. i), within = "20s" }
    local answer = device:send(peer, "answer " .. i)
    device:await_sent(answer, { within = "20s" })
    peer:await_message { id = answer, within = "20s" }
  end
end
local function asked(id) return #server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry", id = id } }) end
local function suspected() return device:history("rollback_suspected") end
local function restore(copy)
  device:kill()
  device:restore_stored(copy)
  device:start()
  device:await("connected", { within = "1m" })
end

talk(1, kMany / 2)
local copy = device:copy_stored()
talk(kMany / 2 + 1, kMany)
consumed:fire()                                        -- and so new ones are made, which the copy does not have
wait_until(function() return phone.companions[1].prekeys > 0 end, { within = "20s" })
talk(kMany + 1, kMany + 4)
expect(#suspected()):equals(0)

restore(copy)
wait_until(function() return #suspected() == 1 end, { within = "20s" })
expect(suspected()[1].evidence):equals("pre_keys")
for _, peer in ipairs(peers) do                         -- with the chains of the copy it would say nothing new
  local again = device:send(peer, "after the restore")
  device:await_sent(again, { within = "20s" })
  peer:await_message { id = again, text = "after the restore", within = "20s" }
end
for i, peer in ipairs(peers) do
  local id = peer:send(phone, "after the copy " .. i)
  device:await_message { id = id, text = "after the copy " .. i, within = "1m" }
  expect(asked(id)):at_most(3)
end
talk(kMany + 5, kMany + 12)

-- Another copy, and no upload since. Somebody reads a message that was sent after it was made.
local other = device:copy_stored()
local later = device:send(peers[1], "one more")
device:await_sent(later, { within = "20s" })
peers[1]:await_message { id = later, within = "20s" }
device:await_receipt { id = later, kind = "delivered", within = "20s" }
pause "2s"                                             -- and it has answered that
restore(other)
pause "5s"
expect(#suspected()):equals(1)                         -- nothing speaks against it
peers[1]:read { ids = { later.id } }
wait_until(function() return #suspected() == 2 end, { within = "20s" })
expect(suspected()[2].evidence):equals("message_ids")
talk(kMany + 13, kMany + 20)
expect(#suspected()):equals(2)
expect(#device.undecryptable):equals(0)
for _, peer in ipairs(peers) do
  for _, message in ipairs(peer.messages) do expect(message.failures):equals(0) end
end
