// The separately compiled halves of Asio and Beast. BOOST_ASIO_SEPARATE_COMPILATION and
// BOOST_BEAST_SEPARATE_COMPILATION are set for this module and everything that links it.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
