# Writes OUT: the files FILES (semicolons between them) as an array of {name, text} in C++.
# cmake -DFILES=a;b -DOUT=file.cpp -P embed_files.cmake
set(text "// Made from the files it holds; see cmake/embed_files.cmake.\n#include <array>\n#include <span>\n#include <string_view>\n\nnamespace tally::odrl {\nstruct TemplateFile {\n  std::string_view name;\n  std::string_view text;\n};\nextern const std::span<const TemplateFile> template_files;\nnamespace {\nconstexpr auto files = std::to_array<TemplateFile>({\n")
foreach(file ${FILES})
  get_filename_component(name "${file}" NAME)
  file(READ "${file}" content)
  string(APPEND text "    {\"${name}\", R\"tally-file(${content})tally-file\"},\n")
endforeach()
string(APPEND text "});\n}  // namespace\nconst std::span<const TemplateFile> template_files = files;\n}  // namespace tally::odrl\n")
file(WRITE "${OUT}" "${text}")
