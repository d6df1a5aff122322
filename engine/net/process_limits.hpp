#pragma once

#include <cstddef>

/// What a program that holds many sockets asks of its process, once, at its start.
namespace wa::net {

/// Raises the soft limit of open files to the hard one and returns what then holds. A program needs
/// one descriptor per connection and some 50 besides.
std::size_t raise_open_file_limit();

/// Writing to a connection that the peer has reset must be an error and not the end of the program.
void ignore_sigpipe();

}  // namespace wa::net
