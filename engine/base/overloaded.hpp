#pragma once

namespace wa {

/// Several lambdas as one visitor: `std::visit(Overloaded{…}, variant)`.
template <class... Rows>
struct Overloaded : Rows... {
  using Rows::operator()...;
};
template <class... Rows>
Overloaded(Rows...) -> Overloaded<Rows...>;

}  // namespace wa
